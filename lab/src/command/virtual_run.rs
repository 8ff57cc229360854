//! A run in a virtual machine: the machine measures itself with this very program, so every stamp
//! is of one clock, and the finished run directory is fetched.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_node::NodeConfig;
use wamr_node::vm::{Parts, Payload, Streams, VmNode, profile};
use wamr_record::experiment::Experiment;

use super::{Context, node_config};
use crate::cli::UpArgs;
use crate::experiment;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::matrix::planned_cells;
use crate::releases::Releases;
use crate::report;

/// Where the machine reads the experiment and writes the run.
const EXPERIMENT: &str = "/run/experiment.toml";
const RUN_ROOT: &str = "/var/lib/wamr-lab";
/// Where a virtual node has the program.
const LAB: &str = "/usr/local/bin/wamr-lab";

/// Brings a machine up, has it measure, fetches the run into `dir`, takes the machine down.
///
/// # Errors
/// The machine or the node in it does not come up, or the run cannot be fetched.
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    dir: &Path,
    only: &[String],
) -> Result<ExitCode> {
    refuse_filled(dir)?;
    let config = config(context, experiment)?;
    let interrupt = Interrupt::listen()?;
    let node = power_on(context, &config, Payload::Node, &experiment.profile, &interrupt)?;
    let asked = || interrupt.is_asked();
    let outcome = node
        .wait_for_node(&context.progress, &asked)
        .and_then(|()| measure_inside(&node, experiment, dir, only, &asked));
    if outcome.is_err() && !asked() {
        context
            .progress
            .line("the machine's logs are of use only while it lives: `node up --stay`");
    }
    node.down(&context.progress)?;
    if interrupt.is_asked() {
        return Ok(EXIT_INTERRUPTED.into());
    }
    let code = outcome?;
    anstream::println!("fetched: {}", dir.display());
    report::show_summary(&context.programs_dir, dir);
    Ok(code)
}

/// The node that an experiment wants.
fn config(context: &Context, experiment: &Experiment) -> Result<NodeConfig> {
    let cells = planned_cells(experiment, &context.runtimes, &Releases::of_image()?);
    // The experiment's reader has seen to it that all are on one release.
    let release = cells.first().and_then(|cell| cell.containerd);
    let image = node_config::image_of(context, experiment, release)?;
    node_config::of_cells(context, experiment, &cells, &image)
}

/// Starts the machine of a node.
///
/// # Errors
/// As [`VmNode::power_on`].
pub fn power_on(
    context: &Context,
    config: &NodeConfig,
    payload: Payload,
    profile_name: &str,
    interrupt: &Interrupt,
) -> Result<VmNode> {
    let profile = profile(profile_name)?;
    let machine = wamr_image::ensure_machine(&context.cache, &config.image, &context.progress)?;
    let cache = &context.cache;
    let parts = Parts { image: &machine, payload, cache, profile_name, profile: &profile };
    interrupt.arm();
    VmNode::power_on(config, &parts, &context.progress)
}

fn measure_inside(
    node: &VmNode,
    experiment: &Experiment,
    dir: &Path,
    only: &[String],
    enough: &dyn Fn() -> bool,
) -> Result<ExitCode> {
    node.write_file(EXPERIMENT, experiment.text.clone().into_bytes())?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let inside = format!("{RUN_ROOT}/{name}");
    let mut argv = vec![LAB, "run", EXPERIMENT, "--here", "--out", &inside];
    for part in only {
        argv.extend(["--only", part]);
    }
    let (mut output, mut errors) = (std::io::stdout(), std::io::stderr());
    let streams = Streams { input: None, output: &mut output, errors: &mut errors };
    let status = node.run(&argv, streams, enough)?;
    fetch(node, &inside, dir).wrap_err_with(|| {
        format!("fetch the run of the machine; wamr-lab there ended with status {status}")
    })?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Unpacks a directory of the machine into `dir`.
fn fetch(node: &VmNode, inside: &str, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).into_diagnostic().wrap_err_with(|| dir.display().to_string())?;
    let mut tar = Command::new("tar")
        .args(["--extract", "--no-same-owner", "--file=-", "--directory"])
        .arg(dir)
        .stdin(Stdio::piped())
        .spawn()
        .into_diagnostic()
        .wrap_err("start tar")?;
    let read = match tar.stdin.take() {
        Some(mut pipe) => node.read_tree(inside, &mut pipe),
        None => Err(miette!("tar has no standard input")),
    };
    let status = tar.wait().into_diagnostic().wrap_err("wait for tar")?;
    read?;
    if status.success() { Ok(()) } else { Err(miette!("unpack the run: {status}")) }
}

/// Before minutes are spent.
fn refuse_filled(dir: &Path) -> Result<()> {
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(miette!(
            help = "give --out a directory that does not exist yet",
            "{} is not empty",
            dir.display()
        )),
        _ => Ok(()),
    }
}

/// A node of `node up --provider vm`.
///
/// # Errors
/// As [`VmNode::power_on`]; the node in the machine does not come up.
pub fn node_up(context: &Context, arguments: &UpArgs, interrupt: &Interrupt) -> Result<VmNode> {
    let mut config = match &arguments.experiment {
        Some(path) => config(context, &experiment::read(path, &context.runtimes)?)?,
        None => node_config::of_all(context, &arguments.name, arguments.containerd)?,
    };
    arguments.name.clone_into(&mut config.name);
    let payload = if arguments.bare { Payload::Bare } else { Payload::Node };
    let node = power_on(context, &config, payload, &arguments.profile, interrupt)?;
    if !arguments.no_wait && !arguments.bare {
        node.wait_for_node(&context.progress, &|| interrupt.is_asked())?;
    }
    Ok(node)
}
