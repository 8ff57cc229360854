//! `wamr-lab run`

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::{Value, json};
use wamr_image::{NodeImage, peers};
use wamr_node::runtimes::peer_files;
use wamr_node::{ControlPlane, MAX_PODS, MachineNode, NativeNode, Node, NodeConfig};
use wamr_record::experiment::{Caches, ControlPlaneSpeed, Experiment, Provider};

use super::{Context, cluster_run, plan, require_root, virtual_run};
use crate::cell::level::note_caches;
use crate::cli::{OnCluster, RunArgs};
use crate::cluster::kubernetes::Cluster;
use crate::cluster::namespace_thread;
use crate::cri::pods::CriPods;
use crate::environment;
use crate::experiment;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::lab::Lab;
use crate::machine::Machine;
use crate::matrix::PlannedCell;
use crate::observer::aggregate::Observers;
use crate::observer::question::drop_caches;
use crate::observer::sampler::Sampler;
use crate::place::Place;
use crate::pod_maker::PodMaker;
use crate::report;
use crate::run_dir::journal::Journal;
use crate::run_dir::session::{Session, default_dir};
use crate::sweep::{Tally, cell_name, planned_cells, sweep};

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
    if let Some(dir) = &arguments.resume {
        // Read first: a directory that is no run must not be tidied.
        let experiment = experiment::read(&dir.join("experiment.toml"), &context.runtimes)?;
        require_root_for(&experiment, "run --resume DIR")?;
        return execute(context, &experiment, arguments, || {
            Session::resume(dir, arguments.only.clone())
        });
    }
    // clap asks for one of both.
    let path = arguments.experiment.as_deref().unwrap_or(Path::new("demo"));
    let experiment = experiment::read(path, &context.runtimes)?;
    if arguments.dry_run {
        if arguments.show {
            anstream::println!("{}", experiment.text);
        }
        plan::print(&experiment, &arguments.only);
        return Ok(ExitCode::SUCCESS);
    }
    require_root_for(&experiment, "run EXPERIMENT.toml")?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let dir = arguments.out.clone().unwrap_or_else(|| default_dir(&name));
    if experiment.provider == Provider::Vm && !arguments.here {
        return virtual_run::measure(context, &experiment, &dir, &arguments.only);
    }
    execute(context, &experiment, arguments, || {
        Session::begin(&experiment, &dir, arguments.only.clone())
    })
}

/// Measures where the experiment wants it; `session` opens the run directory once nothing speaks
/// against it.
fn execute(
    context: &Context,
    experiment: &Experiment,
    arguments: &RunArgs,
    session: impl FnOnce() -> Result<Session>,
) -> Result<ExitCode> {
    let outcome = if experiment.provider == Provider::Cluster && !arguments.here {
        let OnCluster { target, yes } = &arguments.cluster;
        cluster_run::refuse_unless_meant(experiment, target, *yes)?;
        cluster_run::measure(context, experiment, &session()?, target)?
    } else {
        let here = here(arguments, experiment)?;
        measure(context, experiment, &session()?, here)?
    };
    // A machine that measures itself for another one has no such program; that one shows the table.
    let shown = !arguments.here || report::find(&context.programs_dir).is_some();
    if let (Outcome::Complete { dir, .. }, true) = (&outcome, shown) {
        report::show_summary(&context.programs_dir, dir);
    }
    Ok(outcome.exit_code())
}

/// On a cluster the lab's pods have the rights that reading a node needs.
fn require_root_for(experiment: &Experiment, command: &str) -> Result<()> {
    match experiment.provider {
        Provider::Native | Provider::Vm => require_root(command),
        Provider::Cluster => Ok(()),
    }
}

/// The machine that this program runs on, if it is to be measured.
fn here(arguments: &RunArgs, experiment: &Experiment) -> Result<Option<MachineNode>> {
    match (arguments.here, experiment.provider) {
        (true, _) => MachineNode::open().map(Some),
        (false, Provider::Native | Provider::Cluster) => Ok(None),
        (false, Provider::Vm) => Err(miette!(
            help = "begin a new run; --only measures some of its cells",
            "a run in a virtual machine cannot be resumed: the machine is gone"
        )),
    }
}

/// Brings a node up unless there is one `here`, measures all cells that are left, takes the node
/// down.
///
/// # Errors
/// As [`run`].
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    here: Option<MachineNode>,
) -> Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let image = match &here {
        Some(node) => node.spec().image.clone(),
        None => wamr_image::ensure(&context.cache, &context.progress)?,
    };
    let journal = &session.journal;
    let cells = chosen_cells(experiment, session)?;
    note_machine(context, journal);
    // The cache of a machine that just built something is large. Given back now, it is done with
    // long before the first baseline; dropped there, it would unsettle it.
    if experiment.caches == Caches::Cold {
        drop_caches()?;
    }
    note_caches(experiment.caches, journal);
    interrupt.arm();
    let up = match here {
        Some(node) => Ok(Place::Here(node)),
        None => node_config(context, experiment, &image)
            .and_then(|config| NativeNode::up(&config, &context.progress))
            .map(Place::Native),
    };
    if interrupt.is_asked() {
        // An interrupted bring-up may also have failed for that very reason.
        journal.note("interrupted", None, Value::Null);
        if let Ok(node) = up {
            node.leave(&context.progress)?;
        }
        return Ok(Outcome::Interrupted);
    }
    let node = up?;
    journal.note("node-up", None, Value::Null);
    let swept = sweep_on(context, experiment, &image, &node, session, &cells, &interrupt);
    let dead = node.check();
    let down = node.leave(&context.progress);
    let swept = match (swept, dead) {
        // A daemon that died explains the error better than what came of it.
        (Err(error), Err(cause)) => Err(cause.wrap_err(format!("the node broke: {error}"))),
        (Ok(_), Err(cause)) => Err(cause),
        (swept, Ok(())) => swept,
    };
    conclude(context, experiment, session, swept, down)
}

/// The cells that are asked for, done or not.
///
/// # Errors
/// There are none.
pub fn chosen_cells(experiment: &Experiment, session: &Session) -> Result<Vec<PlannedCell>> {
    let mut cells = planned_cells(experiment);
    cells.retain(|cell| session.wants(&cell_name(experiment, cell)));
    if cells.is_empty() {
        return Err(miette!(
            help = "see the cells' names: wamr-lab status DIR, wamr-lab run EXPERIMENT --dry-run",
            "no cell of the experiment is chosen by --only"
        ));
    }
    Ok(cells)
}

/// Ends a run whose nodes have been left, which went as `left` says: writes the manifest, or says
/// how to go on.
///
/// # Errors
/// The cells could not be measured, the nodes not be left, the run not be written.
pub fn conclude(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    swept: Result<Option<Tally>>,
    left: Result<()>,
) -> Result<Outcome> {
    let (run, journal) = (&session.run, &session.journal);
    let Some(tally) = swept.inspect_err(|error| {
        journal.note("broken", None, json!({ "error": format!("{error:?}") }));
    })?
    else {
        journal.note("interrupted", None, Value::Null);
        left?;
        let dir = run.dir().display();
        context.progress.line(&format!("incomplete: {dir}; go on: wamr-lab run --resume {dir}"));
        return Ok(Outcome::Interrupted);
    };
    left?;
    session.finish(&experiment.title)?;
    anstream::println!("run: {}", run.dir().display());
    Ok(Outcome::Complete { dir: run.dir().to_owned(), code: tally.exit_status().into() })
}

/// Writes down what may disturb a measurement, and tells it.
fn note_machine(context: &Context, journal: &Journal) {
    let machine = Machine::read(Path::new("/"));
    journal.note("machine", None, json!({ "facts": machine, "warnings": machine.warnings() }));
    let others: Vec<String> =
        Node::names().into_iter().filter(|(_, up)| *up).map(|(name, _)| name).collect();
    if !others.is_empty() {
        let others = others.join(", ");
        let text = format!("another node is up ({others}): what it does is measured, too");
        context.progress.line(&text);
        journal.note("other-nodes", None, json!(others));
    }
}

/// The node that an experiment wants.
///
/// # Errors
/// A peer cannot be built.
pub fn node_config(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
) -> Result<NodeConfig> {
    // A node of its own: it may stand beside one that was brought up by hand.
    let name = format!("run-{}", std::process::id());
    let used = |name: &String| experiment.series.iter().any(|series| series.runtime == *name);
    let mut runtimes = context.runtimes.clone();
    runtimes.retain(|name, _| used(name));
    let programs_dir = context.programs_dir.clone();
    let peers = peers::ensure(&context.cache, &peer_files(&runtimes), &context.progress)?;
    let mut config = NodeConfig::new(&name, image.clone(), runtimes, programs_dir);
    config.peers = peers;
    config.control_plane = match experiment.control_plane {
        ControlPlaneSpeed::Stock => ControlPlane::Stock,
        ControlPlaneSpeed::Unthrottled | ControlPlaneSpeed::AsIs => ControlPlane::Unthrottled,
        ControlPlaneSpeed::None => ControlPlane::None,
    };
    let used = |name: &str| experiment.series.iter().any(|series| series.workload == name);
    config.keep_workloads(&used);
    config.max_pods = MAX_PODS;
    config.metric_resolution_s = experiment.timing.metrics_resolution_s;
    Ok(config)
}

/// Runs the cells; `None` if the user stopped it.
fn sweep_on(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
    node: &Place,
    session: &Session,
    cells: &[PlannedCell],
    interrupt: &Interrupt,
) -> Result<Option<Tally>> {
    let view = node.view();
    let environment = environment::of_place(experiment, image, node, &context.programs_dir);
    session.journal.note("virtual-machine", None, json!(node.virtual_machine()));
    session.record_environment(&environment)?;
    let network: OwnedFd =
        node.network_namespace().into_diagnostic().wrap_err("open the node's network namespace")?;
    let kubeconfig = node.kubeconfig();
    namespace_thread::block_on(Some(&network), || async {
        let cluster = match experiment.control_plane {
            ControlPlaneSpeed::None => PodMaker::Cri(CriPods::connect(view.root.clone()).await?),
            ControlPlaneSpeed::Stock | ControlPlaneSpeed::Unthrottled | ControlPlaneSpeed::AsIs => {
                PodMaker::Kubernetes(Cluster::connect(&kubeconfig, experiment.controller).await?)
            }
        };
        let lab = Lab {
            experiment,
            runtimes: node.runtimes().unwrap_or(&context.runtimes),
            image,
            observers: Observers::one(Sampler::open(
                view,
                node.memory_cgroup(),
                node.root_cgroup(),
            )?),
            cluster,
            run: &session.run,
            journal: &session.journal,
            progress: &context.progress,
        };
        sweep_until(&lab, cells, session, interrupt).await
    })
}

/// Runs the cells that are not done yet; `None` if the user stopped it.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_until(
    lab: &Lab<'_>,
    cells: &[PlannedCell],
    session: &Session,
    interrupt: &Interrupt,
) -> Result<Option<Tally>> {
    tokio::select! {
        tally = sweep(lab, cells, &session.done) => tally.map(Some),
        () = interrupt.asked() => Ok(None),
    }
}
