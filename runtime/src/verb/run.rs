//! `run`: create, start, wait and delete in one.

use super::{create, delete, start};
use crate::cli::{Global, Run};
use crate::console::Console;
use crate::container::Status;
use crate::error::{Error, Result, chain};
use crate::foreground;
use crate::launch::Launched;

/// Runs the container; returns its exit status, 128 and the signal's number if a signal ended it.
///
/// # Errors
/// Those of `create` and `start`.
pub fn run(global: &Global, flags: &Run) -> Result<i32> {
    let log = global.log();
    let console = match &flags.create.console_socket {
        Some(path) => Some(Console::Socket(path.clone())),
        None if flags.detach => None,
        None => Some(Console::own()?),
    };
    let launched = create::launch(global, &flags.create, console)?;
    // Blocked before the start, so that no end and no signal can be missed.
    let signals = if flags.detach { None } else { Some(foreground::block_signals()?) };
    let Launched { container, state, lock, terminal } = launched;
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
    let status = foreground::wait(state.pid, &signals, terminal)?;
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
