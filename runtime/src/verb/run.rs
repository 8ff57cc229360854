//! `run`: create, start, wait and delete in one.

use super::{create, delete, start};
use crate::cli::{Global, Run};
use crate::console::Console;
use crate::container::{Container, Status};
use crate::error::{Error, Result, chain};
use crate::foreground;
use crate::launch::Launched;
use crate::log::Log;
use crate::notify::Proxy;
use crate::state_file::State;

/// Runs the container; returns its exit status, 128 and the signal's number if a signal ended it.
///
/// # Errors
/// Those of `create` and `start`.
pub fn run(global: &Global, flags: &Run) -> Result<i32> {
    let log = global.log();
    let console = || match &flags.create.console_socket {
        Some(path) => Ok(Some(Console::Socket(path.clone()))),
        None if flags.detach => Ok(None),
        None => Console::own().map(Some),
    };
    let launched = create::launch(global, &flags.create, console)?;
    // Blocked before the start, so that no end and no signal can be missed.
    let signals = if flags.detach { None } else { Some(foreground::block_signals()?) };
    let Launched { container, state, lock, terminal } = launched;
    let proxy = match start(&container, &state, &log) {
        Ok(proxy) => proxy,
        Err(error) => {
            drop(lock);
            let flags = crate::cli::Delete { id: container.id, force: true, regex: false };
            drop(delete::delete(global, &flags));
            return Err(error);
        }
    };
    drop(lock);
    let Some(signals) = signals else {
        return proxy.map_or(Ok(0), |proxy| proxy.wait(state.pid).map(|()| 0));
    };
    if let Some(proxy) = proxy {
        let (pid, log) = (state.pid, log.clone());
        // Beside the wait below; it ends with this process at the latest.
        std::thread::spawn(move || {
            if let Err(problem) = proxy.wait(pid) {
                log.warning(&chain(&problem));
            }
        });
    }
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

fn start(container: &Container, state: &State, log: &Log) -> Result<Option<Proxy>> {
    let proxy = Proxy::listen(container)?;
    let started = start::begin(container, state)?;
    start::finish(state, &started, log).map(|()| proxy)
}
