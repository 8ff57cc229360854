//! `start`: opens the gate of a created container.

use crate::cli::Global;
use crate::container::{self, Container, GATE, REPORT, Status};
use crate::error::{Act, Error, Result, chain};
use crate::hooks;
use crate::log::Log;
use crate::notify::Proxy;
use crate::state_file::State;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;

/// Starts the container `id`.
///
/// # Errors
/// [`Error::Missing`]; [`Error::Status`]: it is not waiting.
pub fn start(global: &Global, id: &str) -> Result<()> {
    let container = Container::new(&global.root, id)?;
    // Held until the end: two starts, or a start and a delete, come one after the other.
    let lock = container.lock()?;
    let state = container.state()?;
    let proxy = Proxy::listen(&container)?;
    let started = begin(&container, &state)?;
    finish(&state, &started, &global.log())?;
    // A service may take long to be ready, or never be.
    drop(lock);
    proxy.map_or(Ok(()), |proxy| proxy.wait(state.pid))
}

/// A container whose gate was opened.
#[derive(Debug)]
pub struct Started {
    /// The gate, whose other end the init holds until its exec.
    gate: File,
    /// What the init says of a failure before its exec, if it has hooks that may fail.
    report: Option<File>,
}

/// Lets the init of `container` go on; the caller holds its lock.
///
/// # Errors
/// [`Error::Status`]: it is not waiting; [`Error::Config`]: it has nothing to run.
pub fn begin(container: &Container, state: &State) -> Result<Started> {
    let refuse = |status: Status| {
        let (refusal, remedy) = match status {
            Status::Stopped => {
                ("cannot start a container that has stopped", "delete it and create it anew")
            }
            Status::Creating => {
                ("cannot start a container in the creating state", "wait until create has ended")
            }
            _ => ("cannot start an already running container", "it was started before"),
        };
        Error::Status { refusal, id: container.id.clone(), status: status.as_str(), remedy }
    };
    let status = container.status(state);
    if status != Status::Created {
        return Err(refuse(status));
    }
    if state.config.process().is_none() {
        return Err(Error::config("process", "is not set: there is nothing to start"));
    }
    let path = container.directory.join(GATE);
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let gate = match open(&path, flags, Mode::empty()) {
        // Nobody reads: the init died a moment ago.
        Err(nix::errno::Errno::ENXIO) => return Err(refuse(Status::Stopped)),
        other => other.act(|| format!("open the gate {}", path.display()))?,
    };
    let report = open_report(container)?;
    // Removed first: who sees the program run must not see a gate.
    fs::remove_file(&path).act(|| format!("remove the gate {}", path.display()))?;
    let mut gate = File::from(gate);
    gate.write_all(b"0").act(|| "write to the gate".to_owned())?;
    Ok(Started { gate, report })
}

fn open_report(container: &Container) -> Result<Option<File>> {
    let path = container.directory.join(REPORT);
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match open(&path, flags, Mode::empty()) {
        Err(nix::errno::Errno::ENOENT) => Ok(None),
        other => other.map(|file| Some(file.into())).act(|| format!("open {}", path.display())),
    }
}

/// What follows the gate: waits for the startContainer hooks, whose failure is that of the start,
/// then runs the poststart hooks, whose failure stops nothing. Both as the spec asks.
///
/// # Errors
/// [`Error::Hook`]: a startContainer hook failed, and the container has stopped.
pub fn finish(state: &State, started: &Started, log: &Log) -> Result<()> {
    if state.poststart.is_empty() && started.report.is_none() {
        return Ok(());
    }
    // The exec, or the end of the init, closes the other end: this one then reports an error.
    let mut polled = [PollFd::new(started.gate.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::NONE).act(|| "wait for the exec".to_owned())?;
    if let Some(mut report) = started.report.as_ref() {
        let mut text = Vec::new();
        // An init that has nothing to report leaves it empty, one that lives leaves it open.
        report.read_to_end(&mut text).ok();
        if !text.is_empty() {
            let text = String::from_utf8_lossy(&text);
            return Err(Error::Hook(format!("the container was not started: {text}")));
        }
    }
    let text = container::report_json(state, Status::Running);
    for problem in hooks::run_all("poststart", &state.poststart, &text) {
        log.warning(&chain(&problem));
    }
    Ok(())
}
