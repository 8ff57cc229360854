//! `run`: create, start, wait and delete in one.

use super::{create, delete, start};
use crate::cli::{Global, Run};
use crate::container::Status;
use crate::error::{Act, Error, Result, chain};
use crate::launch::Launched;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Runs the container; returns its exit status, 128 and the signal's number if a signal ended it.
///
/// # Errors
/// Those of `create` and `start`.
pub fn run(global: &Global, flags: &Run) -> Result<i32> {
    let log = global.log();
    let launched = create::launch(global, &flags.create)?;
    // Blocked before the start, so that no end and no signal can be missed.
    let signals = if flags.detach { None } else { Some(block_signals()?) };
    let Launched { container, state, lock } = launched;
    let gate = match start::open_gate(&container, &state) {
        Ok(gate) => gate,
        Err(error) => {
            drop(lock);
            let flags = crate::cli::Delete { id: container.id, force: true };
            drop(delete::delete(global, &flags));
            return Err(error);
        }
    };
    for problem in start::run_hooks(&state, &gate) {
        log.warning(&chain(&problem));
    }
    drop(lock);
    let Some(signals) = signals else { return Ok(0) };
    let status = wait(state.pid, &signals)?;
    if flags.keep {
        return Ok(status);
    }
    // Another verb may have deleted it already.
    match container.lock() {
        Err(Error::Missing(_)) => Ok(status),
        Err(error) => Err(error),
        Ok(_lock) => {
            debug_assert_eq!(container.status(&state), Status::Stopped);
            delete::finish(&container, &state, &log).map(|()| status)
        }
    }
}

fn block_signals() -> Result<SigSet> {
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

/// Passes signals on to the init until it ends.
fn wait(pid: i32, signals: &SigSet) -> Result<i32> {
    let init = Pid::from_raw(pid);
    loop {
        match waitpid(init, Some(WaitPidFlag::WNOHANG)).act(|| "wait for the init".to_owned())? {
            WaitStatus::Exited(_, status) => return Ok(status),
            WaitStatus::Signaled(_, signal, _) => return Ok(128 + signal as i32),
            _ => {}
        }
        let signal = match signals.wait() {
            Err(Errno::EINTR) => continue,
            other => other.act(|| "wait for a signal".to_owned())?,
        };
        if !matches!(signal, Signal::SIGCHLD | Signal::SIGURG) {
            match nix::sys::signal::kill(init, signal) {
                // It ended meanwhile; the next round notices.
                Err(Errno::ESRCH) => {}
                other => other.act(|| format!("pass {signal} on to the container"))?,
            }
        }
    }
}
