//! `delete`: removes what is left of a container.

use super::kill::signal_init;
use crate::cgroup::{Cgroup, Driver, Request, freezer};
use crate::cli::{Delete, Global};
use crate::container::{self, Container, Status};
use crate::error::{Act, Error, Result, chain};
use crate::hooks;
use crate::intel_rdt;
use crate::log::Log;
use crate::state_file::State;
use crate::sys::process::pidfd_open;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// How long a killed init may take to go.
const KILL_PATIENCE_MS: u16 = 10_000;

/// Removes the container, or all that are chosen.
///
/// # Errors
/// [`Error::Missing`] unless forced; [`Error::Status`]: it has not ended.
pub fn delete(global: &Global, flags: &Delete) -> Result<()> {
    let chosen = container::chosen(&global.root, &flags.id, flags.regex)?;
    super::for_each(&chosen, &global.log(), |container| {
        match remove(container, flags.force, &global.log()) {
            Err(Error::Missing(_)) if flags.force => Ok(()),
            other => other,
        }
    })
}

fn remove(container: &Container, force: bool, log: &Log) -> Result<()> {
    let _lock = if let Some(lock) = container.try_lock()? {
        lock
    } else {
        // A create that hangs, in a hook say, holds the lock as long as its init lives.
        if force && let Ok(state) = container.state() {
            drop(signal_init(&state, libc::SIGKILL));
        }
        container.lock()?
    };
    let Some(state) = State::read(&container.directory)? else {
        // A create that was killed before it had a process: the directory is left, and groups may
        // be. One that failed while we waited for the lock has removed it.
        return if container.directory.exists() {
            remove_noted_groups(container)?;
            container.remove()
        } else {
            Err(Error::Missing(container.id.clone()))
        };
    };
    let status = container.status(&state);
    if status != Status::Stopped {
        // The spec only lets stopped containers go; engines also delete created ones.
        if !force && status != Status::Created {
            return Err(Error::Status {
                refusal: "cannot delete a container that is not stopped",
                id: container.id.clone(),
                status: status.as_str(),
                remedy: "kill it first, or use --force",
            });
        }
        kill_and_wait(&state)?;
    }
    finish(container, &state, log)
}

/// Removes the groups of a `create` that was killed before it could say which it made. Its init,
/// if there was one, ends by itself; whatever else is in a group has been there before.
fn remove_noted_groups(container: &Container) -> Result<()> {
    let Some(path) = container.noted_groups() else { return Ok(()) };
    let all = Request {
        driver: Driver::Cgroupfs,
        id: &container.id,
        cgroups_path: Some(&path),
        annotations: None,
        resources: None,
        complete: true,
    };
    // Where groups cannot be made, none were.
    Cgroup::create(&all).map_or(Ok(()), |(groups, _)| groups.remove())
}

fn kill_and_wait(state: &State) -> Result<()> {
    let pidfd = pidfd_open(state.pid);
    match signal_init(state, libc::SIGKILL) {
        Err(Error::NotRunning(_)) => return Ok(()),
        other => other?,
    }
    if let Ok(pidfd) = pidfd {
        let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(KILL_PATIENCE_MS))
            .act(|| format!("wait for the end of container {:?}", state.id))?;
    }
    Ok(())
}

/// Removes groups and directory of a container whose init has ended, then runs its last hooks.
///
/// # Errors
/// [`Error::Os`]: its groups stay busy.
pub fn finish(container: &Container, state: &State, log: &Log) -> Result<()> {
    // In a PID namespace of its own all processes died with the init; elsewhere they did not.
    if !state.cgroup.processes()?.is_empty() {
        freezer::signal_all(&state.cgroup, libc::SIGKILL)?;
    }
    state.cgroup.remove()?;
    intel_rdt::remove(&state.resctrl)?;
    container.remove()?;
    if state.poststop.is_empty() {
        return Ok(());
    }
    let text = container::report_json(state, Status::Stopped);
    for problem in hooks::run_all("poststop", &state.poststop, &text) {
        log.warning(&chain(&problem));
    }
    Ok(())
}
