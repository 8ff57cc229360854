//! The commands, one file each.

mod churn;
mod clean;
mod cluster;
mod cluster_run;
mod demo;
mod dry_run;
mod local_run;
mod measuring;
mod node;
mod node_config;
mod on_node;
mod peers;
mod run;
mod status;
mod virtual_run;

use std::path::PathBuf;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_image::lock::{self, Agreement};
use wamr_node::runtimes::{RuntimeTable, parse_table, read_table};
use wamr_progress::Progress;

use crate::cli::{Cli, Command, ImageCommand};
use crate::doctor::doctor;
use crate::experiment::RUNTIMES;

/// What every command may need.
struct Context {
    cache: PathBuf,
    programs_dir: PathBuf,
    runtimes: RuntimeTable,
    progress: Progress,
}

/// Runs the command.
///
/// # Errors
/// As the command fails.
pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    let runtimes = match &cli.runtimes {
        Some(path) => read_table(path)?,
        None => parse_table(RUNTIMES).wrap_err("read the built-in table of runtimes")?,
    };
    let context = Context {
        cache: cli.cache.unwrap_or_else(wamr_image::default_cache),
        programs_dir: cli.programs.map_or_else(beside_this_program, Ok)?,
        runtimes,
        progress: Progress::new(),
    };
    match cli.command {
        Command::Demo(arguments) => demo::demo(&context, arguments),
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Churn(arguments) => churn::churn(&context, &arguments),
        Command::Status(arguments) => status::status(&context, &arguments),
        Command::Image(ImageCommand::Build { disk, containerd }) => {
            let image = wamr_image::ensure(&context.cache, &context.progress)?;
            for release in containerd {
                wamr_image::ensure_release(&context.cache, release, &context.progress)?;
            }
            if disk {
                wamr_image::ensure_machine(&context.cache, &image, &context.progress)?;
            }
            anstream::println!("{}", image.rootfs.display());
            match lock::read()?.agreement(&image) {
                Agreement::OtherCompilers => context
                    .progress
                    .line("Wasm workloads: made by another compiler than the lock's"),
                Agreement::Differing(names) if names.is_empty() => {
                    context.progress.line("Wasm workloads: byte for byte those of the lock");
                }
                Agreement::Differing(names) => context.progress.line(&format!(
                    "Wasm workloads: other bytes than the lock's: {}",
                    names.join(", ")
                )),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Peers(command) => peers::peers(&context, command),
        Command::Node(command) => node::node(&context, command),
        Command::Cluster(command) => cluster::cluster(&context, &command),
        Command::OnNode(command) => on_node::on_node(&command),
        Command::Doctor => {
            let fine = doctor(&context.cache, &context.programs_dir);
            Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Clean => clean::clean(),
    }
}

/// The directory of the running program.
fn beside_this_program() -> Result<PathBuf> {
    let exe = std::env::current_exe().into_diagnostic().wrap_err("find this program")?;
    exe.parent().map(PathBuf::from).ok_or_else(|| miette!("{} has no directory", exe.display()))
}

/// Refuses to go on without root, before anything was made.
fn require_root(command: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(miette!(
        help = format!("sudo wamr-lab {command}; `wamr-lab doctor` lists all that is needed"),
        "a node needs root: namespaces, mounts and control groups"
    ))
}
