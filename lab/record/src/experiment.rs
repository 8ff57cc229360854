//! `experiment.toml`: what a run measures. The lab refuses more than these types do: what is out of
//! range, what does not go together, what its table of runtimes does not know.

use serde::Deserialize;

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
    /// What makes the pods.
    #[serde(default)]
    pub controller: Controller,
    /// Whether page caches are dropped before each baseline.
    #[serde(default)]
    pub caches: Caches,
    /// Seed of the order of cells.
    pub seed: u64,
    /// Complete blocks: repetitions of every cell.
    pub repetitions: u32,
    /// Pods at once, one cell each.
    pub densities: Vec<u32>,
    /// What is compared, in the order in which tables list it.
    pub series: Vec<Series>,
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
    Ok(Experiment { text: text.to_owned(), ..experiment })
}

#[test]
fn what_may_be_left_out_has_its_default() {
    const TEXT: &str = "
        title = 't'\nprovider = 'vm'\ncontrol_plane = 'as-is'\nseed = 7\nrepetitions = 1
        densities = [10]\nseries = []\n[timing]\nsettle_window_s = 1\nsettle_max_s = 2
        settle_slope_kib_per_s = 64\nplateau_samples = 1\nmetrics_scrapes = 0\npod_deadline_s = 9";
    let experiment = parse(TEXT).unwrap();
    assert_eq!((experiment.controller, experiment.caches), (Controller::Job, Caches::Cold));
    assert_eq!((experiment.profile.as_str(), experiment.timing.warm_up_batches), ("small", 2));
    assert_eq!(experiment.text, TEXT);
    for needed in ["title", "provider", "seed", "densities", "plateau_samples", "pod_deadline_s"] {
        let error = parse(&TEXT.replace(needed, "colour")).unwrap_err();
        assert!(error.message().contains("colour"), "{needed}: {error}");
    }
}
