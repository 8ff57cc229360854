//! `wamr-lab host`: what runs in the lab's pod on a node of a cluster.

use std::fs::File;
use std::io::{BufReader, stdin, stdout};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::cli::HostCommand;
use crate::host;
use crate::host::containerd;
use crate::host::installed::{self, PROGRAMS};
use crate::host::restart::{check_config, restart, standing};
use crate::observer::sampler::Sampler;
use crate::observer::serve::serve;
use crate::processes::Proc;

/// Where the pod's image has the programs.
pub const PAYLOAD: &str = "/payload";

/// Runs the sub-command.
///
/// # Errors
/// As the host refuses.
pub fn host(command: &HostCommand) -> Result<ExitCode> {
    match command {
        HostCommand::Idle => loop {
            std::thread::park();
        },
        HostCommand::Install => {
            // Before the root changes: the programs are in the pod's.
            let open = |name: &str| {
                let path = Path::new(PAYLOAD).join(name);
                let file = File::open(&path).into_diagnostic();
                Ok((name.to_owned(), file.wrap_err_with(|| path.display().to_string())?))
            };
            let programs = PROGRAMS.into_iter().map(open).collect::<Result<_>>()?;
            host::enter()?;
            let found = containerd::find(&Proc::new("/proc".into()))?;
            installed::install(Path::new("/"), programs, &found)?;
            if let Err(error) = check_config(&found) {
                installed::uninstall(Path::new("/"))?;
                return Err(error);
            }
            print_standing()
        }
        HostCommand::Uninstall => {
            host::enter()?;
            installed::uninstall(Path::new("/"))?;
            print_standing()
        }
        HostCommand::Status => {
            host::enter()?;
            print_standing()
        }
        HostCommand::Observe => {
            host::enter()?;
            serve(&Sampler::of_this_machine()?, BufReader::new(stdin()), stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        HostCommand::Images => ctr(&["list", "--quiet"], &[]),
        HostCommand::Import => ctr(&["import", "-"], &[]),
        HostCommand::Forget { references } => ctr(&["remove", "--sync"], references),
        HostCommand::Restart { now: true } => {
            host::enter()?;
            restart()?;
            Ok(ExitCode::SUCCESS)
        }
        HostCommand::Restart { now: false } => {
            // The stream to whoever asks goes through containerd and may take this process with it.
            Command::new("/proc/self/exe")
                .args(["host", "restart", "--now"])
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
    host::enter()?;
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
