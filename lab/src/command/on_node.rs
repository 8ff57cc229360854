//! `wamr-lab on-node`: what runs in the lab's pod on a node of a cluster.

use std::fs::File;
use std::io::{BufReader, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::cli::OnNodeCommand;
use crate::cluster_node::installed;
use crate::cluster_node::programs::PROGRAMS;
use crate::cluster_node::restart::{check_config, restart, standing};
use crate::cluster_node::{self, containerd};
use crate::observer::sampler::Sampler;
use crate::observer::serve::serve;
use crate::processes::Proc;

/// Where the pod's image has the programs.
pub const PAYLOAD: &str = "/payload";

/// Runs the sub-command.
///
/// # Errors
/// As the host refuses.
pub fn on_node(command: &OnNodeCommand) -> Result<ExitCode> {
    match command {
        OnNodeCommand::Idle => loop {
            std::thread::park();
        },
        OnNodeCommand::Install => {
            // Before the root changes: the programs are in the pod's.
            let open = |name: &str| {
                let path = Path::new(PAYLOAD).join(name);
                let file = File::open(&path).into_diagnostic();
                Ok((name.to_owned(), file.wrap_err_with(|| path.display().to_string())?))
            };
            let programs = PROGRAMS.into_iter().map(open).collect::<Result<_>>()?;
            cluster_node::enter()?;
            let found = containerd::find(&Proc::new("/proc".into()))?;
            installed::install(Path::new("/"), programs, &found)?;
            if let Err(error) = check_config(&found) {
                installed::uninstall(Path::new("/"))?;
                return Err(error);
            }
            print_standing()
        }
        OnNodeCommand::Uninstall => {
            cluster_node::enter()?;
            installed::uninstall(Path::new("/"))?;
            print_standing()
        }
        OnNodeCommand::Status => {
            cluster_node::enter()?;
            print_standing()
        }
        OnNodeCommand::Observe => {
            cluster_node::enter()?;
            serve(&Sampler::of_this_machine()?, BufReader::new(stdin()), stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        OnNodeCommand::Images => ctr(&["list", "--quiet"], &[]),
        OnNodeCommand::Import => ctr(&["import", "-"], &[]),
        OnNodeCommand::Forget { references } => ctr(&["remove", "--sync"], references),
        OnNodeCommand::Restart { now: true } => {
            cluster_node::enter()?;
            restart()?;
            Ok(ExitCode::SUCCESS)
        }
        OnNodeCommand::Restart { now: false } => {
            // The stream to whoever asks goes through containerd and may take this process with it.
            Command::new("/proc/self/exe")
                .args(["on-node", "restart", "--now"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .into_diagnostic()
                .wrap_err("start this program again")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs containerd's own client on the host's images, with the streams of this process.
fn ctr(verb: &[&str], references: &[String]) -> Result<ExitCode> {
    cluster_node::enter()?;
    let found = containerd::find(&Proc::new("/proc".into()))?;
    let text = containerd::read(Path::new(&found.config))?;
    let socket = containerd::socket(text.as_deref());
    let status = Command::new(Path::new(&found.program).with_file_name("ctr"))
        .args(["--address", &socket, "--namespace", "k8s.io", "images"])
        .args(verb)
        .args(references)
        .status()
        .into_diagnostic()
        .wrap_err("start ctr beside containerd")?;
    if !status.success() {
        bail!("ctr images {}: {status}", verb.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_standing() -> Result<ExitCode> {
    println!("{}", serde_json::to_string(&standing()?).into_diagnostic()?);
    Ok(ExitCode::SUCCESS)
}
