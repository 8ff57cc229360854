//! A process that is not mistaken for another with the same number, and its end.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use miette::{Result, miette};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::sys;

/// How long the kernel may take to end what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// A process, safe against another that gets its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pid: u32,
    /// Field 22 of /proc/PID/stat.
    start_ticks: u64,
}

impl ProcessId {
    /// Its number.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in field 2 may hold anything, also ')'.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let start_ticks = after_name.split_whitespace().nth(19).and_then(|text| text.parse().ok());
        let start_ticks =
            start_ticks.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: {stat}")))?;
        Ok(Self { pid, start_ticks })
    }

    /// A handle, if the process still lives.
    ///
    /// # Errors
    /// `ESRCH`: it has ended.
    pub fn open(self) -> io::Result<OwnedFd> {
        let fd = sys::pidfd_open(self.pid)?;
        if Self::of(self.pid)? == self {
            return Ok(fd);
        }
        Err(io::Error::from(Errno::ESRCH))
    }
}

/// Kills a process and waits for its end; one that is gone is fine.
///
/// # Errors
/// The kernel does not end it.
pub fn kill(pidfd: &OwnedFd, what: &str) -> Result<()> {
    // ESRCH means that it is gone, which is what is wanted; the wait below decides.
    drop(sys::pidfd_send_signal(pidfd, libc::SIGKILL));
    if ended_within(pidfd, KILL_LIMIT) {
        return Ok(());
    }
    Err(miette!("{what} did not end within {} s of SIGKILL", KILL_LIMIT.as_secs()))
}

/// A pidfd is readable once its process ended. Source: pidfd_open(2).
pub fn ended_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut watched, timeout) {
            Err(Errno::EINTR) => {}
            Ok(count) => return count > 0,
            Err(_) => return false,
        }
    }
}

#[test]
fn a_process_is_itself_and_no_other() {
    let own = ProcessId::of(std::process::id()).unwrap();
    assert!(own.open().is_ok());
    let other = ProcessId { start_ticks: own.start_ticks + 1, ..own };
    assert_eq!(other.open().unwrap_err().raw_os_error(), Some(libc::ESRCH));
}
