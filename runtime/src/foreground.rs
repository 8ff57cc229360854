//! A runtime that stays in the foreground: it passes signals on to the process it made, moves what
//! is typed and printed between its own terminal and the process's, and ends as the process ends.
//!
//! One thread and poll(2): what cannot be written yet waits in a buffer of its direction, and
//! nothing more is read for it meanwhile, so that neither side can block the other.

use crate::error::{Act, Result};
use crate::sys::fd;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, SetArg, Termios};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, read, write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// As much as is moved at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Blocks all signals that [`wait`] handles. Before the process starts, so that none is missed.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn block_signals() -> Result<SigSet> {
    let mut signals = SigSet::all();
    // Faults of the runtime itself are not for the container.
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT]
    {
        signals.remove(fault);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&signals), None)
        .act(|| "block signals".to_owned())?;
    Ok(signals)
}

/// Waits for the end of the child `pid`; returns its status, 128 and the signal's number if a
/// signal ended it. `terminal`: the master of its terminal.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn wait(pid: i32, signals: &SigSet, terminal: Option<OwnedFd>) -> Result<i32> {
    let child = Pid::from_raw(pid);
    let arriving = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .act(|| "make a signalfd".to_owned())?;
    let mut relay = terminal.map(Relay::new).transpose()?;
    loop {
        let ended = waitpid(child, Some(WaitPidFlag::WNOHANG));
        let status = match ended.act(|| "wait for the container's process".to_owned())? {
            WaitStatus::Exited(_, status) => Some(status),
            WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
            _ => None,
        };
        if let Some(status) = status {
            if let Some(relay) = &mut relay {
                relay.drain();
            }
            return Ok(status);
        }
        if let Some(relay) = &mut relay {
            relay.step(arriving.as_fd())?;
        } else {
            wait_for(&mut [PollFd::new(arriving.as_fd(), PollFlags::POLLIN)])?;
        }
        while let Ok(Some(arrived)) = arriving.read_signal() {
            handle(child, arrived.ssi_signo as i32, relay.as_ref())?;
        }
    }
}

fn handle(child: Pid, signal: i32, relay: Option<&Relay>) -> Result<()> {
    match (signal, relay) {
        (libc::SIGCHLD | libc::SIGURG, _) => Ok(()),
        // The process's terminal tells it by itself.
        (libc::SIGWINCH, Some(relay)) => {
            relay.copy_size();
            Ok(())
        }
        _ => match crate::cgroup::freezer::send(child.as_raw(), signal) {
            // It ended meanwhile; the next round notices.
            Ok(()) => Ok(()),
            other => other,
        },
    }
}

fn wait_for(polled: &mut [PollFd]) -> Result<()> {
    match poll(polled, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).act(|| "poll".to_owned()),
    }
}

/// Between the caller's stdin and stdout and the master of the process's terminal.
struct Relay {
    master: OwnedFd,
    /// How the caller's terminal was, if stdin is one: put back at the end.
    before: Option<Termios>,
    /// Typed, and not yet written to the master.
    typed: Vec<u8>,
    /// Printed, and not yet written to stdout.
    printed: Vec<u8>,
    stdin_open: bool,
    master_open: bool,
}

impl Relay {
    fn new(master: OwnedFd) -> Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .act(|| "make the terminal's master non-blocking".to_owned())?;
        let before = termios::tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            termios::cfmakeraw(&mut raw);
            termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)
                .act(|| "make the own terminal raw".to_owned())?;
        }
        let (typed, printed) = (Vec::new(), Vec::new());
        let relay = Self { master, before, typed, printed, stdin_open: true, master_open: true };
        relay.copy_size();
        Ok(relay)
    }

    /// Gives the process's terminal the size of the caller's, if there is one.
    fn copy_size(&self) {
        if let Ok((rows, columns)) = fd::window_size(io::stdin().as_fd())
            && (rows, columns) != (0, 0)
        {
            // A terminal without a size still works.
            drop(fd::set_window_size(self.master.as_fd(), rows, columns));
        }
    }

    /// Waits until there is a signal or something to move, and moves it.
    fn step(&mut self, signals: BorrowedFd) -> Result<()> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let wanted = |flag: PollFlags, wanted: bool| if wanted { flag } else { PollFlags::empty() };
        let to_master = wanted(PollFlags::POLLOUT, !self.typed.is_empty())
            | wanted(PollFlags::POLLIN, self.printed.is_empty());
        let mut polled = vec![PollFd::new(signals, PollFlags::POLLIN)];
        // A closed end is always ready: asked for, it would keep the loop busy.
        let mut place = |fd, flags: PollFlags, open: bool| {
            (open && !flags.is_empty()).then(|| {
                polled.push(PollFd::new(fd, flags));
                polled.len() - 1
            })
        };
        let typing =
            place(stdin.as_fd(), PollFlags::POLLIN, self.stdin_open && self.typed.is_empty());
        let printing = place(stdout.as_fd(), PollFlags::POLLOUT, !self.printed.is_empty());
        let master = place(self.master.as_fd(), to_master, self.master_open);
        wait_for(&mut polled)?;
        let ready = |index: Option<usize>| {
            index.and_then(|index| polled[index].revents()).unwrap_or(PollFlags::empty())
        };
        let (typing, printing, master) = (ready(typing), ready(printing), ready(master));
        if !typing.is_empty() {
            self.stdin_open = take(stdin.as_fd(), &mut self.typed);
        }
        if master.contains(PollFlags::POLLOUT) {
            give(self.master.as_fd(), &mut self.typed);
        }
        if master.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.master_open = take(self.master.as_fd(), &mut self.printed);
        }
        if !printing.is_empty() {
            give(stdout.as_fd(), &mut self.printed);
        }
        Ok(())
    }

    /// Prints what is left after the process's end.
    fn drain(&mut self) {
        loop {
            while !self.printed.is_empty() {
                give(io::stdout().as_fd(), &mut self.printed);
            }
            if !take(self.master.as_fd(), &mut self.printed) || self.printed.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nobody left to be told.
            termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, before).ok();
        }
    }
}

/// Reads once into `buffer`; `false`: the other side is gone.
fn take(from: BorrowedFd, buffer: &mut Vec<u8>) -> bool {
    let mut bytes = vec![0; BUFFER_BYTES];
    match read(from, &mut bytes) {
        Ok(0) => false,
        Ok(length) => {
            buffer.extend_from_slice(&bytes[..length]);
            true
        }
        Err(Errno::EINTR | Errno::EAGAIN) => true,
        // EIO: no process has the terminal open any more.
        Err(_) => false,
    }
}

/// Writes once from `buffer`; what nobody takes any more is dropped.
fn give(to: BorrowedFd, buffer: &mut Vec<u8>) {
    match write(to, buffer) {
        Ok(length) => drop(buffer.drain(..length)),
        Err(Errno::EINTR | Errno::EAGAIN) => {}
        Err(_) => buffer.clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_wait_for_a_side_that_is_full_and_go_with_one_that_is_gone() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut buffer = vec![7; 8 << 20];
        for _ in 0..64 {
            give(ours.as_fd(), &mut buffer);
        }
        assert!(!buffer.is_empty(), "a socket that takes 8 MiB");
        let mut got = Vec::new();
        assert!(take(theirs.as_fd(), &mut got) && got.iter().all(|byte| *byte == 7));
        drop(theirs);
        // A child of another test has it, too, between its fork and its exec.
        for _ in 0..10_000 {
            give(ours.as_fd(), &mut buffer);
            if buffer.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(buffer.is_empty() && !take(ours.as_fd(), &mut buffer));
    }
}
