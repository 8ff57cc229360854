//! `experiment.toml`: what a run measures. The lab refuses more than these types do: what is out of
//! range, what does not go together, what its table of runtimes does not know.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::arrival::{Arrival, Threshold};
use crate::release::Release;

/// The whole file. The default is an experiment of nothing, for a run that has lost its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What the report is headed with.
    pub title: String,
    /// Where the node lives.
    pub provider: Provider,
    /// With `vm`: size and processor of the machine.
    #[serde(default = "default_profile")]
    pub profile: String,
    /// How fast the control plane may go.
    pub control_plane: ControlPlaneSpeed,
    /// Releases of containerd, `"2.4"` or a list: every series runs on each of them. None leaves
    /// the choice to the lab, which takes the node image's own for all that start under it.
    #[serde(default, deserialize_with = "one_or_several")]
    pub containerd: Vec<Release>,
    /// What makes the pods.
    #[serde(default)]
    pub controller: Controller,
    /// Whether page caches are dropped before each baseline.
    #[serde(default)]
    pub caches: Caches,
    /// Whether the daemons' heaps are collected before each level of memory.
    #[serde(default)]
    pub heaps: Heaps,
    /// Seed of the order of cells.
    pub seed: u64,
    /// Complete blocks: repetitions of every cell.
    pub repetitions: u32,
    /// Pods at once, one cell each.
    pub densities: Vec<u32>,
    /// Rates at which pods arrive, one cell each; one call creates all pods without any.
    #[serde(default)]
    pub arrival: Arrivals,
    /// What is compared, in the order in which tables list it. Where pods arrive at rates, each
    /// series is there once per rate.
    pub series: Vec<Series>,
    /// Limits on how long pods may take.
    #[serde(default, rename = "threshold")]
    pub thresholds: Vec<Threshold>,
    /// Deadlines and windows.
    pub timing: Timing,
    /// The text that it was read from, for the run directory.
    #[serde(skip)]
    pub text: String,
}

/// One line of a figure: a runtime with a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
    /// How fast its pods arrive, by the experiment's axis.
    #[serde(skip)]
    pub arrival: Option<Arrival>,
}

/// `arrival = "20/s"`, or several: `arrival = ["5/s", "20/s"]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Arrivals {
    /// One rate.
    One(Arrival),
    /// An axis.
    Several(Vec<Arrival>),
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl TryFrom<toml::Value> for Arrivals {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let rate = |value: toml::Value| match value {
            toml::Value::String(text) => Arrival::try_from(text),
            other => Err(format!("{other} is no rate: write it as \"20/s\"")),
        };
        match value {
            toml::Value::Array(rates) => {
                rates.into_iter().map(rate).collect::<Result<_, _>>().map(Self::Several)
            }
            one => rate(one).map(Self::One),
        }
    }
}

impl Arrivals {
    /// The rates.
    pub fn rates(&self) -> &[Arrival] {
        match self {
            Self::One(rate) => std::slice::from_ref(rate),
            Self::Several(rates) => rates,
        }
    }
}

/// Where the node lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Namespaces of this machine.
    #[default]
    Native,
    /// A virtual machine, under QEMU.
    Vm,
    /// A cluster that exists already, with the runtime that `cluster install` put there.
    Cluster,
}

/// How fast the control plane may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlPlaneSpeed {
    /// Kubernetes' own limits: a Job's pods come at 20 a second.
    #[default]
    Stock,
    /// Limits raised, so that a start time is the node's.
    Unthrottled,
    /// What a cluster has that was there before: nobody here knows its limits.
    AsIs,
    /// No Kubernetes at all: the lab makes pods through containerd's CRI.
    None,
}

/// What makes the pods of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// A Job, as in the paper: it starts no pod anew.
    #[default]
    Job,
    /// A Deployment, as services are run: a pod that ends comes again.
    Deployment,
}

/// What happens to page caches before a baseline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caches {
    /// `sync`, then drop_caches: every cell pays for the files it reads.
    #[default]
    Cold,
    /// Left as they are.
    Warm,
}

/// What happens to the heaps of the node's daemons before a level of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heaps {
    /// Left as they are.
    #[default]
    AsTheyAre,
    /// Each is asked to collect its garbage.
    Collected,
}

/// Deadlines and windows; seconds unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Memory must stay level over this window, twice.
    pub settle_window_s: u32,
    /// Waiting for it ends here, level or not.
    pub settle_max_s: u32,
    /// A slope of MemAvailable below this counts as level.
    pub settle_slope_kib_per_s: f64,
    /// MemAvailable may move by this much inside a level window.
    #[serde(default = "default_range_kib")]
    pub settle_range_kib: u64,
    /// Samples of the plateau, one a second.
    pub plateau_samples: u32,
    /// Distinct metrics-server timestamps wanted on the plateau; 0 asks it nothing.
    pub metrics_scrapes: u32,
    /// metrics-server's scrape interval: an older figure may predate the last start.
    #[serde(default = "default_resolution_s")]
    pub metrics_resolution_s: u32,
    /// How long metrics-server may take for an answer: an emulated one takes seconds, and until
    /// then no memory is read.
    #[serde(default = "default_metrics_timeout_ms")]
    pub metrics_timeout_ms: u64,
    /// A pod that is not running by then fails its cell.
    pub pod_deadline_s: u32,
    /// Batches as large as a cell's, started and deleted before anything is measured.
    #[serde(default = "default_warm_up_batches")]
    pub warm_up_batches: u32,
}

impl Experiment {
    /// The releases that are compared with each other; empty if the experiment compares none. Such
    /// a system is a runtime with a workload on a release.
    pub fn compared_releases(&self) -> &[Release] {
        if self.containerd.len() > 1 { &self.containerd } else { &[] }
    }
}

/// A release, or a list of releases.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Release>, D::Error> {
    struct OneOrSeveral;

    impl<'de> Visitor<'de> for OneOrSeveral {
        type Value = Vec<Release>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a release in quotes, like \"2.3\", or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.parse().map_err(E::custom)?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut releases = Vec::new();
            while let Some(release) = list.next_element()? {
                releases.push(release);
            }
            Ok(releases)
        }
    }

    from.deserialize_any(OneOrSeveral)
}

fn default_profile() -> String {
    "small".to_owned()
}

fn default_range_kib() -> u64 {
    4096
}

fn default_resolution_s() -> u32 {
    15
}

fn default_metrics_timeout_ms() -> u64 {
    900
}

/// After the first one the daemons' heaps still grow.
fn default_warm_up_batches() -> u32 {
    2
}

/// Reads the text of an experiment.
///
/// # Errors
/// It is no TOML of that shape; the error has the place.
pub fn parse(text: &str) -> Result<Experiment, toml::de::Error> {
    let experiment: Experiment = toml::from_str(text)?;
    let series = at_each_rate(&experiment.series, experiment.arrival.rates());
    Ok(Experiment { series, text: text.to_owned(), ..experiment })
}

/// Each series once per rate; as they are without any.
fn at_each_rate(series: &[Series], rates: &[Arrival]) -> Vec<Series> {
    if rates.is_empty() {
        return series.to_vec();
    }
    let at = |series: &Series| {
        let series = series.clone();
        rates.iter().map(move |&rate| Series { arrival: Some(rate), ..series.clone() })
    };
    series.iter().flat_map(at).collect()
}

#[test]
fn rates_are_an_axis() {
    const TEXT: &str = "
        title = 't'\nprovider = 'native'\ncontrol_plane = 'stock'\nseed = 7\nrepetitions = 1
        densities = [10]\narrival = ['5/s', '20/s']
        [[series]]\nruntime = 'a'\nworkload = 'w'
        [[series]]\nruntime = 'b'\nworkload = 'w'
        [[threshold]]\ncondition = 'first-instruction'\npercentile = 99\nat_most_ms = 500
        [timing]\nsettle_window_s = 1\nsettle_max_s = 2
        settle_slope_kib_per_s = 64\nplateau_samples = 1\nmetrics_scrapes = 0\npod_deadline_s = 9";
    let named = |text: &str| -> Vec<String> {
        let shown = |series: Series| {
            let rate = series.arrival.map(|rate| rate.to_string());
            format!("{} {}", series.runtime, rate.as_deref().unwrap_or("at once"))
        };
        parse(text).unwrap().series.into_iter().map(shown).collect()
    };
    assert_eq!(named(TEXT), ["a 5/s", "a 20/s", "b 5/s", "b 20/s"]);
    assert_eq!(named(&TEXT.replace("['5/s', '20/s']", "'20/s'")), ["a 20/s", "b 20/s"]);
    assert_eq!(named(&TEXT.replace("arrival = ['5/s', '20/s']", "")), ["a at once", "b at once"]);
    assert!(parse(&TEXT.replace("'20/s'", "'fast'")).is_err());
    assert_eq!(parse(TEXT).unwrap().thresholds[0].at_most_ms, 500);
}

#[test]
fn what_may_be_left_out_has_its_default() {
    const TEXT: &str = "
        title = 't'\nprovider = 'vm'\ncontrol_plane = 'as-is'\nseed = 7\nrepetitions = 1
        densities = [10]\nseries = []\n[timing]\nsettle_window_s = 1\nsettle_max_s = 2
        settle_slope_kib_per_s = 64\nplateau_samples = 1\nmetrics_scrapes = 0\npod_deadline_s = 9";
    let experiment = parse(TEXT).unwrap();
    assert_eq!((experiment.controller, experiment.caches), (Controller::Job, Caches::Cold));
    assert_eq!(experiment.heaps, Heaps::AsTheyAre);
    assert_eq!((experiment.profile.as_str(), experiment.timing.warm_up_batches), ("small", 2));
    let collected = parse(&TEXT.replace("seed", "heaps = 'collected'\nseed")).unwrap();
    assert_eq!(collected.heaps, Heaps::Collected);
    assert_eq!(experiment.text, TEXT);
    assert!(experiment.containerd.is_empty() && experiment.compared_releases().is_empty());
    for needed in ["title", "provider", "seed", "densities", "plateau_samples", "pod_deadline_s"] {
        let error = parse(&TEXT.replace(needed, "colour")).unwrap_err();
        assert!(error.message().contains("colour"), "{needed}: {error}");
    }
}

#[test]
fn releases_of_containerd_are_one_or_a_list() {
    const TEXT: &str = "
        title = 't'\nprovider = 'native'\ncontrol_plane = 'stock'\nseed = 7\nrepetitions = 1
        densities = [10]\nseries = []\ncontainerd = X\n[timing]\nsettle_window_s = 1
        settle_max_s = 2\nsettle_slope_kib_per_s = 64\nplateau_samples = 1\nmetrics_scrapes = 0
        pod_deadline_s = 9";
    let parsed = |value: &str| parse(&TEXT.replace('X', value));
    let shown = |experiment: &Experiment| {
        experiment.containerd.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let one = parsed("'2.4'").unwrap();
    assert_eq!((shown(&one).as_str(), one.compared_releases().len()), ("2.4", 0));
    let several = parsed("['2.3', '2.4']").unwrap();
    assert_eq!((shown(&several).as_str(), several.compared_releases().len()), ("2.3 2.4", 2));
    for wrong in ["2.4", "'2.4.2'", "'newest'", "[2.3]"] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}
