//! Which releases of containerd the series of an experiment run on. Pure but for the node image's
//! recipe, which is compiled in.

use miette::{Result, WrapErr};
use wamr_node::runtimes::{RuntimeTable, RuntimeUnderTest};
use wamr_record::experiment::{Experiment, Provider, Series};
use wamr_record::release::Release;

/// What a node can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releases {
    /// All of them, ascending.
    pub all: Vec<Release>,
    /// The one that it has unless another is asked for.
    pub own: Release,
}

impl Releases {
    /// Those of the node image.
    ///
    /// # Errors
    /// Its recipe is broken.
    pub fn of_image() -> Result<Self> {
        let read = || {
            let (all, own) =
                (wamr_image::containerd_releases()?, wamr_image::default_containerd()?);
            Ok::<_, miette::Report>(Self { all, own })
        };
        read().wrap_err("read which releases of containerd the node image can have")
    }

    /// That of a machine which is a node already, by the version of its containerd.
    pub fn of_machine(version: &str) -> Option<Self> {
        let own = Release::of_version(version)?;
        Some(Self { all: vec![own], own })
    }

    /// The one that the lab takes for a runtime; `None` if it starts under none.
    pub fn chosen_for(&self, row: &RuntimeUnderTest) -> Option<Release> {
        if row.starts_under(self.own) {
            return Some(self.own);
        }
        self.all.iter().rev().copied().find(|release| row.starts_under(*release))
    }

    /// `2.2, 2.3, 2.4`.
    pub fn listed(&self) -> String {
        self.all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// A series on a release: what the experiment compares, and at each density a cell of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arm {
    /// Index into the experiment's series.
    pub series: usize,
    /// The release; `None` on a cluster, which has its own.
    pub containerd: Option<Release>,
}

/// The arms of `experiment`, in the order of its series.
pub fn arms(experiment: &Experiment, runtimes: &RuntimeTable, releases: &Releases) -> Vec<Arm> {
    let of_series = |(index, series): (usize, &Series)| {
        let chosen = || {
            let row = runtimes.get(&series.runtime);
            row.and_then(|row| releases.chosen_for(row)).unwrap_or(releases.own)
        };
        let wanted = match (experiment.provider, experiment.containerd.as_slice()) {
            (Provider::Cluster, _) => vec![None],
            (_, []) => vec![Some(chosen())],
            (_, listed) => listed.iter().copied().map(Some).collect(),
        };
        wanted.into_iter().map(move |containerd| Arm { series: index, containerd })
    };
    experiment.series.iter().enumerate().flat_map(of_series).collect()
}

/// Where in an experiment something is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// An item of `containerd`.
    Listed(usize),
    /// The runtime of a series.
    Series(usize),
}

/// What is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: At,
    /// What.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Holds an experiment's releases against those that a node can have and that its runtimes start
/// under.
///
/// # Errors
/// The first fault.
pub fn check(
    experiment: &Experiment,
    runtimes: &RuntimeTable,
    releases: &Releases,
) -> Result<(), Fault> {
    let fault = |at, message: String, help: String| Err(Fault { at, message, help });
    let listed = &experiment.containerd;
    for (index, release) in listed.iter().enumerate() {
        let at = At::Listed(index);
        if experiment.provider == Provider::Cluster {
            let help = "leave it out: the cells say which one the nodes have".to_owned();
            return fault(at, "a cluster has a containerd of its own".to_owned(), help);
        }
        if !releases.all.contains(release) {
            let help = format!("a node can have: {}", releases.listed());
            return fault(at, format!("there is no containerd {release}"), help);
        }
        if listed[..index].contains(release) {
            return fault(at, format!("{release} twice"), "name it once".to_owned());
        }
        if index > 0 && experiment.provider == Provider::Vm {
            let help = "name one, and make a run of each".to_owned();
            return fault(at, "a machine has one containerd".to_owned(), help);
        }
    }
    if experiment.provider == Provider::Cluster {
        return Ok(());
    }
    for (index, series) in experiment.series.iter().enumerate() {
        let Some(row) = runtimes.get(&series.runtime) else { continue };
        let newest = row.containerd_newest.map_or_else(String::new, |newest| newest.to_string());
        let name = &series.runtime;
        if let Some(release) = listed.iter().find(|release| !row.starts_under(**release)) {
            let message = format!("{name} does not start under containerd {release}");
            let help = format!(
                "it does up to {newest}: leave the series out, or `containerd` out of the \
                 experiment, and the lab takes a release under which it starts"
            );
            return fault(At::Series(index), message, help);
        }
        if listed.is_empty() && releases.chosen_for(row).is_none() {
            let message = format!("{name} starts under containerd up to {newest} only");
            let help = format!("leave the series out: a node can have {}", releases.listed());
            return fault(At::Series(index), message, help);
        }
    }
    check_machine(experiment, runtimes, releases)
}

/// A virtual machine is one node.
fn check_machine(
    experiment: &Experiment,
    runtimes: &RuntimeTable,
    releases: &Releases,
) -> Result<(), Fault> {
    let arms = arms(experiment, runtimes, releases);
    let other = arms.iter().find(|arm| arm.containerd != arms[0].containerd);
    match (experiment.provider, other.zip(other.and_then(|arm| arm.containerd))) {
        (Provider::Vm, Some((arm, release))) => Err(Fault {
            at: At::Series(arm.series),
            message: format!(
                "a machine has one containerd, and {} needs {release}",
                experiment.series[arm.series].runtime
            ),
            help: "name one under which all series start: containerd = \"2.2\"".to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use wamr_node::runtimes::parse_table;

    use super::*;
    use crate::experiment::RUNTIMES;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    fn node() -> Releases {
        let all = ["2.2", "2.3", "2.4"].map(release).to_vec();
        Releases { all, own: release("2.3") }
    }

    fn experiment(containerd: &[&str], runtimes: &[&str]) -> Experiment {
        let series = runtimes.iter().map(|name| Series {
            runtime: (*name).to_owned(),
            workload: "microservice-wasm".to_owned(),
            ..Series::default()
        });
        Experiment {
            containerd: containerd.iter().map(|text| release(text)).collect(),
            series: series.collect(),
            ..Experiment::default()
        }
    }

    fn shown(experiment: &Experiment) -> String {
        let table = parse_table(RUNTIMES).unwrap();
        let arms = arms(experiment, &table, &node());
        let show = |arm: &Arm| format!("{}:{}", arm.series, arm.containerd.unwrap());
        arms.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_lab_takes_an_older_release_for_whom_the_own_one_is_too_new() {
        let both = ["wamr-shim", "shim-wasmtime"];
        assert_eq!(shown(&experiment(&[], &both)), "0:2.3 1:2.2");
        assert_eq!(shown(&experiment(&["2.2"], &both)), "0:2.2 1:2.2");
        assert_eq!(shown(&experiment(&["2.4", "2.3"], &["wamr-shim"])), "0:2.4 0:2.3");
        let on_cluster = Experiment { provider: Provider::Cluster, ..experiment(&[], &both) };
        let arms = arms(&on_cluster, &parse_table(RUNTIMES).unwrap(), &node());
        assert!(arms.len() == 2 && arms.iter().all(|arm| arm.containerd.is_none()));
    }

    #[test]
    fn a_machine_has_the_release_that_it_has() {
        let releases = Releases::of_machine("v2.4.2").unwrap();
        let table = parse_table(RUNTIMES).unwrap();
        assert_eq!(releases.chosen_for(&table["wamr-shim"]), Some(release("2.4")));
        assert_eq!(releases.chosen_for(&table["shim-wasmtime"]), None);
        assert_eq!(Releases::of_machine("unknown"), None);
    }

    #[test]
    fn releases_that_cannot_be_are_refused() {
        let table = parse_table(RUNTIMES).unwrap();
        let fault = |experiment: &Experiment| check(experiment, &table, &node()).unwrap_err();
        let shim = ["wamr-shim"];
        assert_eq!(check(&experiment(&["2.4", "2.2"], &shim), &table, &node()), Ok(()));
        assert_eq!(check(&experiment(&[], &["shim-wasmtime"]), &table, &node()), Ok(()));

        let unknown = fault(&experiment(&["2.3", "2.9"], &shim));
        assert_eq!((unknown.at, unknown.help.contains("2.2, 2.3, 2.4")), (At::Listed(1), true));
        let twice = fault(&experiment(&["2.3", "2.3"], &shim));
        assert_eq!((twice.at, twice.message.as_str()), (At::Listed(1), "2.3 twice"));
        let too_new = fault(&experiment(&["2.3"], &["wamr-shim", "shim-wasmtime"]));
        assert_eq!(too_new.at, At::Series(1));
        assert!(too_new.help.contains("up to 2.2"), "{too_new:?}");
        let cluster = Experiment { provider: Provider::Cluster, ..experiment(&["2.3"], &shim) };
        assert_eq!(fault(&cluster).at, At::Listed(0));
    }

    #[test]
    fn a_virtual_machine_has_one() {
        let table = parse_table(RUNTIMES).unwrap();
        let on_vm = |experiment: Experiment| Experiment { provider: Provider::Vm, ..experiment };
        let check = |experiment: &Experiment| check(experiment, &table, &node());
        let both = ["wamr-shim", "shim-wasmtime"];
        assert_eq!(check(&on_vm(experiment(&["2.4"], &both[..1]))), Ok(()));
        assert_eq!(check(&on_vm(experiment(&["2.2"], &both))), Ok(()));
        assert_eq!(check(&on_vm(experiment(&[], &both[1..]))), Ok(()));
        let mixed = check(&on_vm(experiment(&[], &both))).unwrap_err();
        assert_eq!(mixed.at, At::Series(1), "{mixed:?}");
        let two = check(&on_vm(experiment(&["2.3", "2.4"], &both[..1]))).unwrap_err();
        assert_eq!(two.at, At::Listed(1), "{two:?}");
    }
}
