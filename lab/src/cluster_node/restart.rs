//! Restarting the host's containerd: only with a configuration that it accepts, and back to the old
//! one if it does not come up. Containers run on meanwhile: their shims hold them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::containerd::{self, Containerd};
use super::installed;
use crate::processes::Proc;

/// From the order to a containerd that listens.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// How a host stands, for the one who asked for a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The runtime is installed.
    pub installed: bool,
    /// containerd's process; another one after a restart.
    pub containerd: String,
    /// It takes connections.
    pub listens: bool,
}

/// Reads how the host stands; this process is inside the host's root.
///
/// # Errors
/// No containerd runs.
pub fn standing() -> Result<Standing> {
    let found = containerd::find(&Proc::new("/proc".into()))?;
    let installed = installed::record(Path::new("/"))?.is_some();
    Ok(Standing { installed, listens: listens(&found)?, containerd: found.process })
}

fn listens(found: &Containerd) -> Result<bool> {
    let socket = containerd::socket(containerd::read(Path::new(&found.config))?.as_deref());
    Ok(UnixStream::connect(socket).is_ok())
}

/// Has containerd accept the configuration without using it.
///
/// # Errors
/// It does not; the text has its words.
pub fn check_config(found: &Containerd) -> Result<()> {
    let output = Command::new(&found.program)
        .args(["--config", &found.config, "config", "dump"])
        .output()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {}", found.program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("containerd refuses its configuration: {}", said.trim());
    }
    Ok(())
}

/// Restarts containerd and waits until it listens. If it does not, what was installed is taken away
/// again and it is restarted once more.
///
/// # Errors
/// Nobody here restarts daemons, or containerd did not come up.
pub fn restart() -> Result<()> {
    let found = containerd::find(&Proc::new("/proc".into()))?;
    check_config(&found)?;
    order(&found)?;
    let Err(error) = wait(&found) else { return Ok(()) };
    if installed::uninstall(Path::new("/"))? {
        order(&found).wrap_err("restart containerd as it was before")?;
    }
    Err(error)
}

/// Asks whoever runs containerd for a restart.
///
/// # Errors
/// Nobody here does that.
pub fn order(found: &Containerd) -> Result<()> {
    if Path::new("/run/systemd/system").is_dir() {
        let status = Command::new("systemctl").args(["restart", &found.unit]).status();
        let status = status.into_diagnostic().wrap_err("start systemctl")?;
        if !status.success() {
            bail!("systemctl restart {}: {status}", found.unit);
        }
        return Ok(());
    }
    let init = fs::read_to_string("/proc/1/comm").unwrap_or_default();
    if init.trim() == wamr_node::INIT_COMM {
        fs::write(wamr_node::RESTART, "containerd\n")
            .into_diagnostic()
            .wrap_err_with(|| format!("write {}", wamr_node::RESTART))?;
        return kill(Pid::from_raw(1), Signal::SIGHUP).into_diagnostic().wrap_err("signal PID 1");
    }
    Err(miette!(
        help = "restart containerd by hand; it reads its configuration then",
        "neither systemd nor a node of the lab runs this node's daemons, but {}",
        init.trim()
    ))
}

fn wait(before: &Containerd) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let now = containerd::find(&Proc::new("/proc".into()));
        if let Ok(now) = now
            && now.process != before.process
            && listens(&now)?
        {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    bail!("containerd did not come up within {} s", LIMIT.as_secs())
}
