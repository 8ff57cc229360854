//! `wamr-lab run`

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::ZonedDateTime;
use miette::{IntoDiagnostic, Result, WrapErr};
use serde_json::{Value, json};
use wamr_image::NodeImage;
use wamr_node::{ControlPlane, MAX_PODS, NativeNode, NodeConfig};
use wamr_record::reader::read_run;

use super::{Context, require_root};
use crate::cell::level::prepare_caches;
use crate::cli::RunArgs;
use crate::clock::now_ns;
use crate::cluster::kubernetes::Cluster;
use crate::cluster::namespace_thread;
use crate::environment;
use crate::experiment::{self, ControlPlaneSpeed, Experiment};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::lab::Lab;
use crate::machine::Machine;
use crate::node_view::NodeView;
use crate::run_dir::journal::Journal;
use crate::run_dir::manifest;
use crate::run_dir::writer::RunWriter;
use crate::sample::cgroup::MemoryCgroup;
use crate::sample::meminfo::MeminfoFile;
use crate::summary;
use crate::sweep::{Tally, planned_cells, sweep};

/// How a run ended.
pub enum Outcome {
    /// All cells were run.
    Complete {
        /// Where the run is.
        dir: PathBuf,
        /// What the process should exit with.
        code: ExitCode,
    },
    /// The user stopped it; the node is down.
    Interrupted,
}

impl Outcome {
    /// What the process should exit with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Complete { code, .. } => *code,
            Self::Interrupted => EXIT_INTERRUPTED.into(),
        }
    }
}

/// Measures an experiment, or says what it would measure.
///
/// # Errors
/// The experiment is refused, the node does not come up or dies, the run cannot be written.
pub fn run(context: &Context, arguments: &RunArgs) -> Result<ExitCode> {
    let experiment = experiment::read(&arguments.experiment, &context.runtimes)?;
    if arguments.dry_run {
        if arguments.show {
            anstream::println!("{}", experiment.text);
        }
        print_plan(&experiment);
        return Ok(ExitCode::SUCCESS);
    }
    require_root("run EXPERIMENT.toml")?;
    let name = arguments.experiment.file_stem().unwrap_or_default().to_string_lossy();
    Ok(measure(context, &experiment, arguments.out.clone(), &name)?.exit_code())
}

/// Brings a node up, measures all cells, takes the node down, prints the table.
///
/// # Errors
/// As [`run`].
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    out: Option<PathBuf>,
    name: &str,
) -> Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let image = wamr_image::ensure(&context.cache, &context.progress)?;
    let run = RunWriter::create(&out.unwrap_or_else(|| default_dir(name)))?;
    run.write("experiment.toml", &experiment.text)?;
    let journal = Journal::create(&run)?;
    let begin_ns = now_ns();
    journal.note("begin", None, json!({ "title": experiment.title }));
    let machine = Machine::read(Path::new("/"));
    journal.note("machine", None, json!({ "facts": machine, "warnings": machine.warnings() }));
    let others: Vec<String> =
        NativeNode::names().into_iter().filter(|(_, up)| *up).map(|(name, _)| name).collect();
    if !others.is_empty() {
        let others = others.join(", ");
        let text = format!("another node is up ({others}): what it does is measured, too");
        context.progress.line(&text);
        journal.note("other-nodes", None, json!(others));
    }
    // The cache of a machine that just built something is large. Given back now, it is done with
    // long before the first baseline; dropped there, it would unsettle it.
    prepare_caches(experiment.caches, &journal)?;
    interrupt.arm();
    let up = bring_up(context, experiment, &image);
    if interrupt.is_asked() {
        // An interrupted bring-up may also have failed for that very reason.
        journal.note("interrupted", None, Value::Null);
        if let Ok(node) = up {
            node.down(&context.progress)?;
        }
        return Ok(Outcome::Interrupted);
    }
    let node = up?;
    journal.note("node-up", None, Value::Null);
    let swept = sweep_on(context, experiment, &image, &node, &run, &journal, &interrupt);
    let dead = node.check();
    let down = node.down(&context.progress);
    let swept = match (swept, dead) {
        // A daemon that died explains the error better than what came of it.
        (Err(error), Err(cause)) => Err(cause.wrap_err(format!("the node broke: {error}"))),
        (Ok(_), Err(cause)) => Err(cause),
        (swept, Ok(())) => swept,
    };
    let Some(tally) = swept.inspect_err(|error| {
        journal.note("broken", None, json!({ "error": format!("{error:?}") }));
    })?
    else {
        journal.note("interrupted", None, Value::Null);
        down?;
        context.progress.line(&format!("incomplete: {}", run.dir().display()));
        return Ok(Outcome::Interrupted);
    };
    down?;
    journal.note("end", None, Value::Null);
    manifest::finish(&run, &experiment.title, begin_ns)?;
    let record = read_run(run.dir()).into_diagnostic().wrap_err("read the finished run")?;
    anstream::print!("\n{}", summary::render(&record));
    anstream::println!("run: {}", run.dir().display());
    Ok(Outcome::Complete { dir: run.dir().to_owned(), code: tally.exit_status().into() })
}

fn bring_up(context: &Context, experiment: &Experiment, image: &NodeImage) -> Result<NativeNode> {
    // A node of its own: it may stand beside one that was brought up by hand.
    let name = format!("run-{}", std::process::id());
    let used = |name: &String| experiment.series.iter().any(|series| series.runtime == *name);
    let mut runtimes = context.runtimes.clone();
    runtimes.retain(|name, _| used(name));
    let programs_dir = context.programs_dir.clone();
    let mut config = NodeConfig::new(&name, image.clone(), runtimes, programs_dir);
    config.control_plane = match experiment.control_plane {
        ControlPlaneSpeed::Stock => ControlPlane::Stock,
        ControlPlaneSpeed::Unthrottled => ControlPlane::Unthrottled,
    };
    config.max_pods = MAX_PODS;
    config.metric_resolution_s = experiment.timing.metrics_resolution_s;
    NativeNode::up(&config, &context.progress)
}

/// Runs all cells; `None` if the user stopped it.
fn sweep_on(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
    node: &NativeNode,
    run: &RunWriter,
    journal: &Journal,
    interrupt: &Interrupt,
) -> Result<Option<Tally>> {
    let view = NodeView::new(node.init_pid(), node.proc_root(), node.log_dir());
    run.write_json(
        "environment.json",
        &environment::gather(experiment, image, &view, &context.programs_dir),
    )?;
    let network: OwnedFd =
        node.network_namespace().into_diagnostic().wrap_err("open the node's network namespace")?;
    let kubeconfig = node.kubeconfig();
    namespace_thread::block_on(&network, || async {
        let meminfo = MeminfoFile::open(view.proc.root())
            .into_diagnostic()
            .wrap_err("open the node's /proc/meminfo")?;
        let cluster = Cluster::connect(&kubeconfig).await?;
        let lab = Lab {
            experiment,
            runtimes: &context.runtimes,
            image,
            node: &view,
            cluster,
            meminfo,
            node_cgroup: node_cgroup(node),
            run,
            journal,
            progress: &context.progress,
        };
        tokio::select! {
            tally = sweep(&lab) => tally.map(Some),
            () = interrupt.asked() => Ok(None),
        }
    })
}

/// The control group of the whole node, in the memory hierarchy of the host.
fn node_cgroup(node: &NativeNode) -> Option<MemoryCgroup> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    MemoryCgroup::find(&mounts, &node.cgroup())
}

/// `runs/2026-01-31-235959-NAME`, in local time.
fn default_dir(name: &str) -> PathBuf {
    let now = ZonedDateTime::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    Path::new("runs").join(format!("{now}-{name}"))
}

fn print_plan(experiment: &Experiment) {
    let cells = planned_cells(experiment);
    anstream::println!("{}: {} cells", experiment.title, cells.len());
    for cell in &cells {
        let series = &experiment.series[cell.series];
        anstream::println!(
            "  {:>3}  block {}  {:>3} pods  {} {}",
            cell.order + 1,
            cell.repetition,
            cell.pods,
            series.runtime,
            series.workload
        );
    }
    let timing = &experiment.timing;
    let windows_s = 2 * timing.settle_window_s;
    let metrics_s = timing.metrics_resolution_s * (timing.metrics_scrapes + 1);
    let plateau_s = windows_s.max(timing.plateau_samples).max(metrics_s);
    // A pod takes about a quarter of a second to come, and as much to go.
    let seconds_of = |pods: u32| windows_s + plateau_s + 10 + pods / 2;
    let seconds: u32 = 30 + windows_s + cells.iter().map(|cell| seconds_of(cell.pods)).sum::<u32>();
    let most_pods = cells.iter().map(|cell| cell.pods).max().unwrap_or(0);
    let gigabytes = 1.5 + f64::from(most_pods) * 0.02;
    anstream::println!(
        "at least {} min {:02} s, about {gigabytes:.1} GB of memory",
        seconds / 60,
        seconds % 60
    );
}
