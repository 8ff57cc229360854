//! Pauses a container, and signals all its processes, frozen meanwhile where they can be.
//!
//! Frozen, no process forks away between the listing and the signal.
//!
//! Source: kernel cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst "cgroup.freeze".

use super::{Cgroup, files};
use crate::error::{Act, Error, Result};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// Rounds of killing a group that cannot be frozen and forks meanwhile.
const ROUNDS: u32 = 100;
/// How often a group is asked whether it has come to rest, and after which rounds it is told anew.
const SETTLE_ROUNDS: u32 = 2000;
const RETRY_EVERY: u32 = 50;
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

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
    let was_frozen = is_frozen(cgroup);
    let control = Control::of(cgroup);
    // Not waited for: what has not come to rest yet is caught by the next round.
    let froze = control.as_ref().is_some_and(|control| control.write(true).is_ok());
    let result = signal_listed(cgroup, signal);
    // A paused container stays so, unless it is to die: on v1 the frozen do not.
    match control {
        Some(control) if signal == libc::SIGKILL => control.release()?,
        Some(control) if froze && !was_frozen => control.thaw()?,
        _ => {}
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

/// Sends `signal` to the process `pid`; one that is gone is no error.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn send(pid: i32, signal: i32) -> Result<()> {
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

/// Freezes or thaws the container's groups, and waits until they are.
///
/// # Errors
/// [`Error::Usage`]: the host has no freezer, or the container does not come to rest;
/// [`Error::Os`].
pub fn set(cgroup: &Cgroup, frozen: bool) -> Result<()> {
    let control = Control::of(cgroup).ok_or_else(|| {
        Error::Usage("the cgroup controller freezer is not mounted on this host".to_owned())
    })?;
    for round in 0..SETTLE_ROUNDS {
        // A v1 group in which processes are made meanwhile gets stuck half frozen: thawed for a
        // moment, it comes out of it.
        if round % RETRY_EVERY == 0 {
            if round > 0 {
                control.write(!frozen)?;
            }
            control.write(frozen)?;
        }
        if control.has_settled(frozen)? {
            return Ok(());
        }
        sleep(SETTLE_PAUSE);
    }
    if frozen {
        // Half a pause is none.
        control.write(false)?;
    }
    let word = if frozen { "freeze" } else { "thaw" };
    Err(Error::Usage(format!(
        "the container's processes do not {word}: one may hang in the kernel"
    )))
}

/// Thaws groups whose processes have been killed, and those below them that the container may have
/// frozen itself, so that the processes can die; nobody waits for it.
///
/// # Errors
/// [`Error::Os`]; groups that went with their processes, as systemd's scopes do, are none.
pub fn release(cgroup: &Cgroup) -> Result<()> {
    Control::of(cgroup).map_or(Ok(()), |control| control.release())
}

/// Whether the container's groups are frozen, or about to be.
pub fn is_frozen(cgroup: &Cgroup) -> bool {
    Control::of(cgroup).is_some_and(|control| control.is_wanted())
}

/// The file with which groups are frozen.
enum Control {
    V1(PathBuf),
    V2(PathBuf),
}

impl Control {
    fn of(cgroup: &Cgroup) -> Option<Self> {
        match cgroup {
            Cgroup::V2(group) => Some(Self::V2(group.directory.join("cgroup.freeze"))),
            Cgroup::V1(group) => {
                let place = group.directory("freezer").filter(|place| place.own)?;
                Some(Self::V1(place.path.join("freezer.state")))
            }
        }
    }

    fn write(&self, frozen: bool) -> Result<()> {
        let (path, value) = match (self, frozen) {
            (Self::V1(path), true) => (path, "FROZEN"),
            (Self::V1(path), false) => (path, "THAWED"),
            (Self::V2(path), _) => (path, if frozen { "1" } else { "0" }),
        };
        files::write(path, value).act(|| format!("write {value} to {}", path.display()))
    }

    fn thaw(&self) -> Result<()> {
        match self.write(false) {
            Err(Error::Os { source, .. }) if files::gone(&source) => Ok(()),
            other => other,
        }
    }

    fn release(&self) -> Result<()> {
        if self.is_wanted() {
            self.thaw()?;
        }
        // In a frozen group of v1 nobody dies before it thaws; on v2 the killed do.
        let Self::V1(path) = self else { return Ok(()) };
        let directory = path.parent().unwrap_or(path);
        let below = files::children(directory)
            .act(|| format!("list the groups below {}", directory.display()))?;
        below.into_iter().try_for_each(|group| Self::V1(group.join("freezer.state")).release())
    }

    fn is_wanted(&self) -> bool {
        let (Self::V1(path) | Self::V2(path)) = self;
        fs::read_to_string(path).is_ok_and(|text| text.starts_with(['F', '1']))
    }

    /// Whether all processes have arrived in the state that was written.
    fn has_settled(&self, frozen: bool) -> Result<bool> {
        let (path, want) = match self {
            Self::V1(path) => (path.clone(), if frozen { "FROZEN" } else { "THAWED" }),
            Self::V2(path) => {
                (path.with_file_name("cgroup.events"), if frozen { "frozen 1" } else { "frozen 0" })
            }
        };
        let text = fs::read_to_string(&path).act(|| format!("read {}", path.display()))?;
        Ok(text.lines().any(|line| line == want))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::v2;

    #[test]
    fn a_half_frozen_group_is_not_settled() {
        let top = tempfile::tempdir().unwrap();
        let group = v2::Group { directory: top.path().to_owned(), first_made: None, scope: None };
        let cgroup = Cgroup::V2(group);
        assert!(!is_frozen(&cgroup));
        for (wanted, events, frozen, settled) in [
            ("0\n", "populated 1\nfrozen 0\n", false, false),
            ("1\n", "populated 1\nfrozen 0\n", true, false),
            ("1\n", "populated 1\nfrozen 1\n", true, true),
        ] {
            fs::write(top.path().join("cgroup.freeze"), wanted).unwrap();
            fs::write(top.path().join("cgroup.events"), events).unwrap();
            assert_eq!(is_frozen(&cgroup), frozen);
            assert_eq!(Control::of(&cgroup).unwrap().has_settled(true).unwrap(), settled);
        }
    }
}
