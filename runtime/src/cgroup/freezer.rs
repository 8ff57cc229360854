//! Signals for every process of a container, with the group frozen meanwhile where it can be.
//!
//! Frozen, no process forks away between the listing and the signal.

use super::{Cgroup, files, v1};
use crate::error::{Act, Result};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::path::Path;

/// Rounds of killing a group that cannot be frozen and forks meanwhile.
const ROUNDS: u32 = 100;

/// Sends `signal` to every process in the container's groups.
///
/// # Errors
/// [`crate::error::Error::Os`]: a listing or a signal that was refused; a process that is gone
/// is none.
pub fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<()> {
    if let Cgroup::V2(group) = cgroup
        && signal == libc::SIGKILL
        && files::write(&group.directory.join("cgroup.kill"), "1").is_ok()
    {
        return Ok(());
    }
    let frozen = freeze(cgroup, true);
    let result = signal_listed(cgroup, signal);
    if frozen {
        freeze(cgroup, false);
    }
    result
}

fn signal_listed(cgroup: &Cgroup, signal: i32) -> Result<()> {
    let rounds = if signal == libc::SIGKILL { ROUNDS } else { 1 };
    let mut killed = Vec::new();
    for _ in 0..rounds {
        let processes = cgroup.processes()?;
        let fresh: Vec<i32> = processes.into_iter().filter(|pid| !killed.contains(pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            send(pid, signal)?;
            killed.push(pid);
        }
    }
    Ok(())
}

fn send(pid: i32, signal: i32) -> Result<()> {
    let target = Pid::from_raw(pid);
    let sent = match nix::sys::signal::Signal::try_from(signal) {
        Ok(named) => kill(target, named),
        // Real-time signals have no name in nix; a pidfd takes any number.
        Err(_) => return send_by_pidfd(pid, signal),
    };
    match sent {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).act(|| format!("send signal {signal} to process {pid}")),
    }
}

fn send_by_pidfd(pid: i32, signal: i32) -> Result<()> {
    use crate::sys::process::{pidfd_open, pidfd_send_signal};
    use std::os::fd::AsFd;
    let sent = pidfd_open(pid).and_then(|pidfd| pidfd_send_signal(pidfd.as_fd(), signal));
    match sent {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(error).act(|| format!("send signal {signal} to process {pid}"))
        }
        _ => Ok(()),
    }
}

/// Freezes or thaws the groups; says whether the host could.
fn freeze(cgroup: &Cgroup, frozen: bool) -> bool {
    match cgroup {
        Cgroup::V2(group) => {
            let value = if frozen { "1" } else { "0" };
            files::write(&group.directory.join("cgroup.freeze"), value).is_ok()
        }
        Cgroup::V1(group) => freezer_of(group).is_some_and(|directory| {
            let value = if frozen { "FROZEN" } else { "THAWED" };
            files::write(&directory.join("freezer.state"), value).is_ok()
        }),
    }
}

fn freezer_of(group: &v1::Group) -> Option<&Path> {
    let found = group.own().find(|place| place.controllers.split(',').any(|c| c == "freezer"));
    found.map(|place| place.path.as_path())
}
