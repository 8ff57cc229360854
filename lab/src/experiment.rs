//! What of `experiment.toml` is refused. Pure but for reading the file; every refusal names line
//! and column and says what would be allowed.

use std::fs;
use std::ops::Range;
use std::path::Path;

use miette::{IntoDiagnostic, NamedSource, Result, SourceSpan, WrapErr};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wamr_node::runtimes::{RuntimeKind, RuntimeTable};
use wamr_node::{MAX_PODS, USUAL_PODS};
use wamr_record::experiment::{ControlPlaneSpeed, Experiment, Provider, Series, Timing};

use crate::releases::{self, At, Releases};

/// The demonstration, for `wamr-lab demo` and `wamr-lab run demo`.
pub const DEMO: &str = include_str!("../experiments/demo.toml");

/// The smallest sweep in a virtual machine, for `wamr-lab run vm`.
pub const VM: &str = include_str!("../experiments/vm.toml");

/// The runtimes under test, unless `--runtimes` names another table.
pub const RUNTIMES: &str = include_str!("../runtimes.toml");

/// Why an experiment is refused. Running it regardless would measure something else than meant.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{name}:{line}:{column}: {message}")]
pub struct ExperimentError {
    name: String,
    line: usize,
    column: usize,
    message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_text: NamedSource<String>,
    #[label("here")]
    place: SourceSpan,
}

/// Reads the experiment at `path`; the words `demo` and `vm` stand for the built-in ones.
///
/// # Errors
/// The file is unreadable, or [`ExperimentError`].
pub fn read(path: &Path, runtimes: &RuntimeTable) -> Result<Experiment> {
    for (word, name, text) in [("demo", "demo.toml", DEMO), ("vm", "vm.toml", VM)] {
        if path == Path::new(word) && !path.exists() {
            return parse(name, text, runtimes).map_err(|error| (*error).into());
        }
    }
    let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| {
        format!("read the experiment {} (`demo` and `vm` name built-in ones)", path.display())
    })?;
    parse(&path.display().to_string(), &text, runtimes).map_err(|error| (*error).into())
}

/// Parses and checks `text`; `name` is what errors call it.
///
/// # Errors
/// [`ExperimentError`]: not TOML, an unknown key, a value out of range, a runtime or workload that
/// `runtimes` does not know.
pub fn parse(
    name: &str,
    text: &str,
    runtimes: &RuntimeTable,
) -> Result<Experiment, Box<ExperimentError>> {
    let experiment = wamr_record::experiment::parse(text).map_err(|error| {
        refusal(name, text, error.span().unwrap_or(0..0), error.message(), None)
    })?;
    let places = Places::of(text);
    check(&experiment, &places, runtimes).map_err(|Refusal { place, message, help }| {
        refusal(name, text, place.unwrap_or(0..0), &message, Some(help))
    })?;
    Ok(experiment)
}

/// What is wrong, where in the text, and what would be right.
struct Refusal {
    place: Option<Range<usize>>,
    message: String,
    help: String,
}

fn refuse<T>(
    place: Option<Range<usize>>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal { place, message: message.into(), help: help.into() })
}

/// Where values stand in the text.
struct Places<'a>(Option<Spanned<DeTable<'a>>>);

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        Self(DeTable::parse(text).ok())
    }

    /// The value of a key of the file; `None` if the file leaves it out.
    fn value(&self, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.0.as_ref()?.get_ref().get(key)
    }

    fn key(&self, key: &str) -> Option<Range<usize>> {
        Some(self.value(key)?.span())
    }

    fn item(&self, key: &str, index: usize) -> Option<Range<usize>> {
        Some(self.value(key)?.get_ref().get(index)?.span())
    }

    fn series(&self, index: usize, key: &str) -> Option<Range<usize>> {
        Some(self.value("series")?.get_ref().get(index)?.get_ref().get(key)?.span())
    }
}

fn check(
    experiment: &Experiment,
    places: &Places<'_>,
    runtimes: &RuntimeTable,
) -> Result<(), Refusal> {
    if experiment.repetitions == 0 {
        let help = "repetitions counts complete blocks: 1 or more";
        return refuse(places.key("repetitions"), "0 repetitions measure nothing", help);
    }
    if experiment.densities.is_empty() {
        let help = "list pods per cell, like densities = [10, 100]";
        return refuse(places.key("densities"), "no density is given", help);
    }
    for (index, pods) in experiment.densities.iter().enumerate() {
        let native = experiment.provider == Provider::Native;
        let most = if native { MAX_PODS } else { USUAL_PODS };
        if !(1..=most).contains(pods) {
            let help = format!("such a node carries 1 to {most} pods");
            return refuse(places.item("densities", index), format!("{pods} pods"), help);
        }
    }
    if experiment.series.is_empty() {
        let help = "add a [[series]] with runtime and workload";
        return refuse(places.key("series"), "no series is given", help);
    }
    for (index, series) in experiment.series.iter().enumerate() {
        check_series(series, |key| places.series(in_text(experiment, index), key), runtimes)?;
    }
    check_arrival(experiment, places)?;
    check_cluster(experiment)?;
    check_releases(experiment, places, runtimes)?;
    check_without_kubernetes(experiment, places, runtimes)?;
    check_timing(&experiment.timing)
        .or_else(|(message, help)| refuse(places.key("timing"), message, help))
}

/// Which series of the text the one at `index` is: each is there once per rate.
fn in_text(experiment: &Experiment, index: usize) -> usize {
    index / experiment.arrival.rates().len().max(1)
}

/// Pods arrive at different rates, and thresholds are percentiles.
fn check_arrival(experiment: &Experiment, places: &Places<'_>) -> Result<(), Refusal> {
    let rates = experiment.arrival.rates();
    for (index, rate) in rates.iter().enumerate() {
        if rates[..index].contains(rate) {
            let help = "list each rate once";
            return refuse(places.item("arrival", index), format!("{rate} is there twice"), help);
        }
    }
    if !rates.is_empty()
        && let Some(place) = places.key("controller")
    {
        let help = "leave it out: the lab asks for each pod itself";
        return refuse(Some(place), "a controller of pods that arrive one by one", help);
    }
    for threshold in &experiment.thresholds {
        if !(0.0..=100.0).contains(&threshold.percentile) {
            let help = "a percentile is 0 to 100: 50 is the median, 100 the slowest pod";
            let message = format!("the percentile {} of a threshold", threshold.percentile);
            return refuse(places.key("threshold"), message, help);
        }
    }
    Ok(())
}

/// The runtime must be a row of the table and able to run the workload.
fn check_series(
    Series { runtime, workload, .. }: &Series,
    place: impl Fn(&str) -> Option<Range<usize>>,
    runtimes: &RuntimeTable,
) -> Result<(), Refusal> {
    let Some(row) = runtimes.get(runtime) else {
        let known: Vec<&str> = runtimes.keys().map(String::as_str).collect();
        let help = format!("runtimes.toml has: {}", known.join(", "));
        return refuse(place("runtime"), format!("no runtime is called {runtime:?}"), help);
    };
    if let Some(reason) = &row.absent {
        let message = format!("{runtime} cannot be had: {reason}");
        return refuse(place("runtime"), message, "leave the series out");
    }
    if !row.workloads.contains(workload) {
        let help = format!("runtimes.toml lets {runtime} run: {}", row.workloads.join(", "));
        let message = format!("{runtime} cannot run the workload {workload:?}");
        return refuse(place("workload"), message, help);
    }
    Ok(())
}

/// The releases of containerd must be there, and the runtimes start under them.
fn check_releases(
    experiment: &Experiment,
    places: &Places<'_>,
    runtimes: &RuntimeTable,
) -> Result<(), Refusal> {
    let releases = Releases::of_image().or_else(|error| {
        let help = "this is a fault of wamr-lab itself";
        refuse(places.key("containerd"), error.to_string(), help)
    })?;
    releases::check(experiment, runtimes, &releases).map_err(|fault| Refusal {
        place: match fault.at {
            At::Listed(index) => places.item("containerd", index).or(places.key("containerd")),
            At::Series(index) => places.series(in_text(experiment, index), "runtime"),
        },
        message: fault.message,
        help: fault.help,
    })
}

/// A cluster's control plane is what it is, and nothing else is.
fn check_cluster(experiment: &Experiment) -> Result<(), Refusal> {
    let on_cluster = experiment.provider == Provider::Cluster;
    match (on_cluster, experiment.control_plane == ControlPlaneSpeed::AsIs) {
        (true, false) => refuse(
            None,
            "a cluster that exists has its own limits",
            "control_plane = \"as-is\" with provider = \"cluster\"",
        ),
        (false, true) => refuse(
            None,
            "control_plane = \"as-is\" is for clusters that exist",
            "\"stock\" or \"unthrottled\", or provider = \"cluster\"",
        ),
        _ => Ok(()),
    }
}

/// What goes together with the lack of Kubernetes, and what does not.
fn check_without_kubernetes(
    experiment: &Experiment,
    places: &Places<'_>,
    runtimes: &RuntimeTable,
) -> Result<(), Refusal> {
    let without = experiment.control_plane == ControlPlaneSpeed::None;
    for (index, Series { runtime, .. }) in experiment.series.iter().enumerate() {
        let row = runtimes.get(runtime);
        if !without && row.is_some_and(|row| row.kind == RuntimeKind::Sandbox) {
            let help = "Kubernetes makes no such pods: control_plane = \"none\" does";
            let place = places.series(in_text(experiment, index), "runtime");
            return refuse(place, format!("{runtime} has no container"), help);
        }
    }
    if !without {
        return Ok(());
    }
    if let Some(place) = places.key("controller") {
        let help = "leave it out: the lab makes the pods itself";
        return refuse(Some(place), "a controller without a control plane", help);
    }
    if experiment.provider != Provider::Native {
        let help = "provider = \"native\", or a control plane";
        return refuse(None, "a machine's node has a control plane", help);
    }
    if experiment.timing.metrics_scrapes > 0 {
        let help = "metrics_scrapes = 0: metrics-server and kubelet are parts of Kubernetes";
        return refuse(places.key("timing"), "figures of a metrics-server", help);
    }
    Ok(())
}

fn check_timing(timing: &Timing) -> Result<(), (&'static str, &'static str)> {
    if timing.settle_window_s < 3 {
        return Err(("settle_window_s below 3", "a slope needs at least 3 samples"));
    }
    if timing.settle_max_s < 2 * timing.settle_window_s {
        return Err((
            "settle_max_s leaves no room for two windows",
            "settle_max_s must be at least twice settle_window_s",
        ));
    }
    if !(timing.settle_slope_kib_per_s.is_finite() && timing.settle_slope_kib_per_s > 0.0) {
        return Err(("settle_slope_kib_per_s is not above 0", "try 64"));
    }
    if timing.plateau_samples == 0 {
        return Err(("plateau_samples is 0", "a plateau needs 1 or more samples"));
    }
    if timing.pod_deadline_s == 0 {
        return Err(("pod_deadline_s is 0", "pods need some seconds to start"));
    }
    Ok(())
}

fn refusal(
    name: &str,
    text: &str,
    place: Range<usize>,
    message: &str,
    help: Option<String>,
) -> Box<ExperimentError> {
    let before = text.get(..place.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Box::new(ExperimentError {
        name: name.to_owned(),
        line,
        column,
        message: message.trim_end().to_owned(),
        help,
        source_text: NamedSource::new(name, text.to_owned()),
        place: place.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use wamr_node::runtimes::parse_table;
    use wamr_record::experiment::Caches;

    use super::*;

    #[test]
    fn the_demonstration_parses() {
        let demo = parse("demo.toml", DEMO, &parse_table(RUNTIMES).unwrap()).unwrap();
        assert_eq!(demo.series.len(), 4);
        assert!(demo.series.iter().any(|series| series.runtime == "wamr-shim"));
        assert_eq!(demo.densities, [10]);
        assert_eq!(demo.caches, Caches::Cold);
        assert_eq!(demo.timing.warm_up_batches, 2);
    }

    #[test]
    fn every_shipped_experiment_parses() {
        let runtimes = parse_table(RUNTIMES).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            read(&path, &runtimes).unwrap_or_else(|error| panic!("{error:?}"));
        }
    }

    #[test]
    fn the_sweep_in_a_machine_parses() {
        let vm = parse("vm.toml", VM, &parse_table(RUNTIMES).unwrap()).unwrap();
        assert_eq!(vm.provider, Provider::Vm);
        assert_eq!(vm.timing.warm_up_batches, 0);
        assert!(wamr_node::vm::profile(&vm.profile).is_ok());
    }

    /// Each case changes one line of the demonstration.
    #[test]
    fn refusals_name_the_place_and_what_is_allowed() {
        let table: &[(&str, &str, &str)] = &[
            ("unknown key", "seed = 20260101", "sead = 1"),
            ("unknown enum word", "provider = \"native\"", "provider = \"nativ\""),
            ("unknown controller", "seed =", "controller = \"pod\"\nseed ="),
            ("no repetitions", "repetitions = 1", "repetitions = 0"),
            ("no density", "densities = [10]", "densities = []"),
            ("density too large", "densities = [10]", "densities = [10, 2501]"),
            ("unknown runtime", "runtime = \"runc-python\"", "runtime = \"runc\""),
            ("absent runtime", "runtime = \"crun-wasmedge\"", "runtime = \"crun-python\""),
            ("wrong workload", "microservice-python\"", "microservice-wasm\""),
            ("wrong type", "title = ", "title = 5 #"),
            ("no TOML", "[timing]", "[timing"),
            ("controller of nothing", "\"unthrottled\"", "\"none\"\ncontroller = \"job\" #"),
            ("metrics of nothing", "\"unthrottled\"", "\"none\" #"),
            (
                "sandboxes in Kubernetes",
                "runtime = \"runc-python\"\nworkload = \"microservice-python\"",
                "runtime = \"pause\"\nworkload = \"pause\"",
            ),
            ("limits of a cluster", "provider = \"native\"", "provider = \"cluster\""),
            ("as-is of a node", "\"unthrottled\"", "\"as-is\" #"),
            ("no rate", "seed =", "arrival = \"fast\"\nseed ="),
            ("a rate twice", "seed =", "arrival = [\"5/s\", \"5.0/s\"]\nseed ="),
            ("a controller at a rate", "seed =", "arrival = \"5/s\"\ncontroller = \"job\"\nseed ="),
            (
                "no percentile",
                "[timing]",
                "[[threshold]]\ncondition = \"started\"\npercentile = 101\nat_most_ms = 9\n\
                 [timing]",
            ),
            ("short windows", "settle_max_s = 30", "settle_max_s = 1"),
            ("unknown release", "seed =", "containerd = [\"2.3\", \"2.9\"]\nseed ="),
            ("no release", "seed =", "containerd = 2.4\nseed ="),
            (
                "a release too new",
                "densities = [10]\n\n[[series]]\nruntime = \"wamr-shim\"",
                "containerd = \"2.4\"\ndensities = [10]\n[[series]]\nruntime = \"shim-wasmer\"",
            ),
            (
                "a release too new at each rate",
                "densities = [10]\n\n[[series]]\n",
                "containerd = \"2.4\"\narrival = [\"5/s\", \"9/s\"]\ndensities = [10]\n[[series]]\n\
                 runtime = \"wamr-shim\"\nworkload = \"microservice-wasm\"\n[[series]]\n\
                 runtime = \"shim-wasmer\"\nworkload = \"microservice-wasm\"\n[[series]]\n",
            ),
        ];
        let mut runtimes = parse_table(RUNTIMES).unwrap();
        runtimes.get_mut("crun-python").unwrap().absent = Some("it was lost".to_owned());
        let mut shown = String::new();
        for (case, from, to) in table {
            assert!(DEMO.contains(from), "{case}: the demonstration has no {from:?}");
            let text = DEMO.replacen(from, to, 1);
            let error = parse("demo.toml", &text, &runtimes).expect_err(case);
            let help = error.help.as_deref().unwrap_or("-");
            writeln!(shown, "{case}:\n  {error}\n  help: {help}").unwrap();
        }
        insta::assert_snapshot!(shown);
    }
}
