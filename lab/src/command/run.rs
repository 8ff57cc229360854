//! `wamr-lab run`

use std::path::Path;
use std::process::ExitCode;

use miette::{Result, miette};
use wamr_node::MachineNode;
use wamr_record::experiment::{Experiment, Provider};

use super::local_run::measure;
use super::measuring::Outcome;
use super::{Context, cluster_run, dry_run, require_root, virtual_run};
use crate::cli::{OnCluster, RunArgs};
use crate::experiment;
use crate::report;
use crate::run_dir::session::{Session, default_dir};

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
        dry_run::print(&experiment, &context.runtimes, &arguments.only)?;
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
