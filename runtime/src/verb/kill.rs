//! `kill`: sends a signal to a container.

use crate::cgroup::freezer;
use crate::cli::{Global, Kill};
use crate::container::{self, Container, Status};
use crate::error::{Act, Error, Result};
use crate::state_file::State;
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use nix::sys::signal::Signal;
use std::os::fd::AsFd;

/// Sends the signal.
///
/// # Errors
/// [`Error::Missing`]; [`Error::NotRunning`]; [`Error::Usage`]: no such signal.
pub fn kill(global: &Global, flags: &Kill) -> Result<()> {
    let signal = parse(&flags.signal)?;
    let chosen = container::chosen(&global.root, &flags.id, flags.regex)?;
    super::for_each(&chosen, &global.log(), |container| send(container, signal, flags.all))
}

fn send(container: &Container, signal: i32, all: bool) -> Result<()> {
    let state = container.state()?;
    if all {
        // Also of a container whose init has ended: in a shared PID namespace the others live on.
        return freezer::signal_all(&state.cgroup, signal);
    }
    if container.status(&state) == Status::Stopped {
        return Err(Error::NotRunning(container.id.clone()));
    }
    signal_init(&state, signal)
}

/// Sends `signal` to the init of `state`, never to a later process with its PID.
///
/// # Errors
/// [`Error::NotRunning`]; [`Error::Os`].
pub fn signal_init(state: &State, signal: i32) -> Result<()> {
    let gone = || Error::NotRunning(state.id.clone());
    // The descriptor holds the process; only then is its start time worth comparing.
    let pidfd = pidfd_open(state.pid).map_err(|_| gone())?;
    if !container::is_alive(state.pid, state.start_ticks) {
        return Err(gone());
    }
    match pidfd_send_signal(pidfd.as_fd(), signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(gone()),
        other => other.act(|| format!("send signal {signal} to container {:?}", state.id))?,
    }
    if signal == libc::SIGKILL { freezer::release(&state.cgroup) } else { Ok(()) }
}

/// The number of a signal given by number or name.
fn parse(text: &str) -> Result<i32> {
    let unknown = || Error::Usage(format!("{text:?} is no signal: give a number or a name"));
    if let Ok(number) = text.parse() {
        return if (0..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        let offset = if offset.is_empty() { Some(0) } else { offset.parse().ok() };
        let number = offset.map(|offset: i32| 34 + offset);
        return number.filter(|number| (34..=64).contains(number)).ok_or_else(unknown);
    }
    format!("SIG{name}").parse::<Signal>().map(|signal| signal as i32).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_number_and_name() {
        for (text, want) in [
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("SIGTERM", Some(15)),
            ("sigusr1", Some(10)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMIN", Some(34)),
            ("64", Some(64)),
            ("65", None),
            ("-1", None),
            ("NOPE", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text}");
        }
    }
}
