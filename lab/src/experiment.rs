//! `experiment.toml`: what a run measures. Parsing is pure; every refusal names line and column
//! and says what would be allowed.

use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, NamedSource, Result, SourceSpan, WrapErr};
use serde::Deserialize;
use toml::Spanned;
use wamr_node::runtimes::{RuntimeKind, RuntimeTable};

use crate::cluster::manifest::Controller;

/// The demonstration, for `wamr-lab demo` and `wamr-lab run demo`.
pub const DEMO: &str = include_str!("../experiments/demo.toml");

/// The smallest sweep in a virtual machine, for `wamr-lab run vm`.
pub const VM: &str = include_str!("../experiments/vm.toml");

/// The runtimes under test, unless `--runtimes` names another table.
pub const RUNTIMES: &str = include_str!("../runtimes.toml");

/// The most pods a node's bridge and address range can carry.
const PODS_MAX: u32 = 500;

/// A checked experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// What the report is headed with.
    pub title: String,
    /// Where the node lives.
    pub provider: Provider,
    /// With `vm`: size and processor of the machine.
    pub profile: String,
    /// How fast the control plane may go.
    pub control_plane: ControlPlaneSpeed,
    /// What makes the pods.
    pub controller: Controller,
    /// Whether page caches are dropped before each baseline.
    pub caches: Caches,
    /// Seed of the order of cells.
    pub seed: u64,
    /// Complete blocks.
    pub repetitions: u32,
    /// Pods at once, one cell each.
    pub densities: Vec<u32>,
    /// What is compared.
    pub series: Vec<Series>,
    /// Deadlines and windows.
    pub timing: Timing,
    /// The text that it was read from, for the run directory.
    pub text: String,
}

/// One line of a figure: a runtime with a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
}

/// Where the node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Namespaces of this machine.
    Native,
    /// A virtual machine, under QEMU.
    Vm,
    /// A cluster that exists already, with the runtime that `cluster install` put there.
    Cluster,
}

/// How fast the control plane may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlPlaneSpeed {
    /// Kubernetes' own limits: a Job's pods come at 20 a second.
    Stock,
    /// Limits raised, so that a start time is the node's.
    Unthrottled,
    /// What a cluster has that was there before: nobody here knows its limits.
    AsIs,
    /// No Kubernetes at all: the lab makes pods through containerd's CRI.
    None,
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
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
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

/// The file as it is written, before the checks that serde cannot make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    provider: Provider,
    #[serde(default = "default_profile")]
    profile: String,
    control_plane: ControlPlaneSpeed,
    controller: Option<Spanned<Controller>>,
    #[serde(default)]
    caches: Caches,
    seed: u64,
    repetitions: Spanned<u32>,
    densities: Spanned<Vec<Spanned<u32>>>,
    series: Spanned<Vec<FileSeries>>,
    timing: Spanned<Timing>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSeries {
    runtime: Spanned<String>,
    workload: Spanned<String>,
}

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
    let refuse = |place, message: String, help| refusal(name, text, place, &message, help);
    let file: File = toml::from_str(text)
        .map_err(|error| refuse(error.span().unwrap_or(0..0), error.message().to_owned(), None))?;
    if *file.repetitions.as_ref() == 0 {
        let help = Some("repetitions counts complete blocks: 1 or more".to_owned());
        return Err(refuse(file.repetitions.span(), "0 repetitions measure nothing".into(), help));
    }
    if file.densities.as_ref().is_empty() {
        let help = Some("list pods per cell, like densities = [10, 100]".to_owned());
        return Err(refuse(file.densities.span(), "no density is given".into(), help));
    }
    for density in file.densities.as_ref() {
        if !(1..=PODS_MAX).contains(density.as_ref()) {
            let help = Some(format!("a node carries 1 to {PODS_MAX} pods"));
            let message = format!("{} pods", density.as_ref());
            return Err(refuse(density.span(), message, help));
        }
    }
    if file.series.as_ref().is_empty() {
        let help = Some("add a [[series]] with runtime and workload".to_owned());
        return Err(refuse(file.series.span(), "no series is given".into(), help));
    }
    for series in file.series.as_ref() {
        check_series(series, runtimes)
            .map_err(|(place, message, help)| refuse(place, message, Some(help)))?;
    }
    check_cluster(&file).map_err(|(message, help)| refuse(0..0, message, Some(help.to_owned())))?;
    check_without_kubernetes(&file, runtimes)
        .map_err(|(place, message, help)| refuse(place, message, Some(help.to_owned())))?;
    check_timing(file.timing.as_ref())
        .map_err(|(message, help)| refuse(file.timing.span(), message, Some(help.to_owned())))?;
    Ok(Experiment {
        title: file.title,
        provider: file.provider,
        profile: file.profile,
        control_plane: file.control_plane,
        controller: file.controller.map(Spanned::into_inner).unwrap_or_default(),
        caches: file.caches,
        seed: file.seed,
        repetitions: file.repetitions.into_inner(),
        densities: file.densities.into_inner().into_iter().map(Spanned::into_inner).collect(),
        series: file.series.into_inner().into_iter().map(FileSeries::into_series).collect(),
        timing: file.timing.into_inner(),
        text: text.to_owned(),
    })
}

impl FileSeries {
    fn into_series(self) -> Series {
        Series { runtime: self.runtime.into_inner(), workload: self.workload.into_inner() }
    }
}

/// The runtime must be a row of the table and able to run the workload.
fn check_series(
    series: &FileSeries,
    runtimes: &RuntimeTable,
) -> Result<(), (std::ops::Range<usize>, String, String)> {
    let (runtime, workload) = (series.runtime.as_ref(), series.workload.as_ref());
    let Some(row) = runtimes.get(runtime) else {
        let known: Vec<&str> = runtimes.keys().map(String::as_str).collect();
        let help = format!("runtimes.toml has: {}", known.join(", "));
        return Err((series.runtime.span(), format!("no runtime is called {runtime:?}"), help));
    };
    if let Some(reason) = &row.absent {
        let message = format!("{runtime} cannot be had: {reason}");
        return Err((series.runtime.span(), message, "leave the series out".to_owned()));
    }
    if !row.workloads.contains(workload) {
        let help = format!("runtimes.toml lets {runtime} run: {}", row.workloads.join(", "));
        let message = format!("{runtime} cannot run the workload {workload:?}");
        return Err((series.workload.span(), message, help));
    }
    Ok(())
}

/// A cluster's control plane is what it is, and nothing else is.
fn check_cluster(file: &File) -> Result<(), (String, &'static str)> {
    match (file.provider == Provider::Cluster, file.control_plane == ControlPlaneSpeed::AsIs) {
        (true, false) => Err((
            "a cluster that exists has its own limits".to_owned(),
            "control_plane = \"as-is\" with provider = \"cluster\"",
        )),
        (false, true) => Err((
            "control_plane = \"as-is\" is for clusters that exist".to_owned(),
            "\"stock\" or \"unthrottled\", or provider = \"cluster\"",
        )),
        _ => Ok(()),
    }
}

/// What goes together with the lack of Kubernetes, and what does not.
fn check_without_kubernetes(
    file: &File,
    runtimes: &RuntimeTable,
) -> Result<(), (std::ops::Range<usize>, String, &'static str)> {
    let without = file.control_plane == ControlPlaneSpeed::None;
    for series in file.series.as_ref() {
        let row = runtimes.get(series.runtime.as_ref());
        if !without && row.is_some_and(|row| row.kind == RuntimeKind::Sandbox) {
            let message = format!("{} has no container", series.runtime.as_ref());
            let help = "Kubernetes makes no such pods: control_plane = \"none\" does";
            return Err((series.runtime.span(), message, help));
        }
    }
    if !without {
        return Ok(());
    }
    if let Some(controller) = &file.controller {
        let help = "leave it out: the lab makes the pods itself";
        return Err((controller.span(), "a controller without a control plane".to_owned(), help));
    }
    if file.provider != Provider::Native {
        let help = "provider = \"native\", or a control plane";
        return Err((0..0, "a machine's node has a control plane".to_owned(), help));
    }
    if file.timing.as_ref().metrics_scrapes > 0 {
        let help = "metrics_scrapes = 0: metrics-server and kubelet are parts of Kubernetes";
        return Err((file.timing.span(), "figures of a metrics-server".to_owned(), help));
    }
    Ok(())
}

fn check_timing(timing: &Timing) -> Result<(), (String, &'static str)> {
    let refuse = |message: &str, help| Err((message.to_owned(), help));
    if timing.settle_window_s < 3 {
        return refuse("settle_window_s below 3", "a slope needs at least 3 samples");
    }
    if timing.settle_max_s < 2 * timing.settle_window_s {
        return refuse(
            "settle_max_s leaves no room for two windows",
            "settle_max_s must be at least twice settle_window_s",
        );
    }
    if !(timing.settle_slope_kib_per_s.is_finite() && timing.settle_slope_kib_per_s > 0.0) {
        return refuse("settle_slope_kib_per_s is not above 0", "try 64");
    }
    if timing.plateau_samples == 0 {
        return refuse("plateau_samples is 0", "a plateau needs 1 or more samples");
    }
    if timing.pod_deadline_s == 0 {
        return refuse("pod_deadline_s is 0", "pods need some seconds to start");
    }
    Ok(())
}

fn refusal(
    name: &str,
    text: &str,
    place: std::ops::Range<usize>,
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
            ("density too large", "densities = [10]", "densities = [10, 501]"),
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
            ("short windows", "settle_max_s = 30", "settle_max_s = 1"),
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
