//! `start`: opens the gate of a created container.

use crate::cli::Global;
use crate::container::{self, Container, GATE, Status};
use crate::error::{Act, Error, Result};
use crate::hooks;
use crate::state_file::State;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

/// Starts the container `id`.
///
/// # Errors
/// [`Error::Missing`]; [`Error::Status`]: it is not waiting.
pub fn start(global: &Global, id: &str) -> Result<()> {
    let container = Container::new(&global.root, id)?;
    // Held until the end: two starts, or a start and a delete, come one after the other.
    let _lock = container.lock()?;
    let state = container.state()?;
    let gate = open_gate(&container, &state)?;
    for problem in run_hooks(&state, &gate) {
        global.log().warning(&problem.to_string());
    }
    Ok(())
}

/// Lets the init of `container` go on; the caller holds its lock. Returns the gate, whose other end
/// the init holds until its exec.
///
/// # Errors
/// [`Error::Status`]: it is not waiting.
pub fn open_gate(container: &Container, state: &State) -> Result<File> {
    let refuse = |status: Status| {
        let remedy = match status {
            Status::Stopped => "delete it and create it anew",
            Status::Creating => "wait until create has ended",
            _ => "it was started before",
        };
        Error::Status { verb: "start", id: container.id.clone(), status: status.as_str(), remedy }
    };
    let status = container.status(state);
    if status != Status::Created {
        return Err(refuse(status));
    }
    let path = container.directory.join(GATE);
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let gate = match open(&path, flags, Mode::empty()) {
        // Nobody reads: the init died a moment ago.
        Err(nix::errno::Errno::ENXIO) => return Err(refuse(Status::Stopped)),
        other => other.act(|| format!("open the gate {}", path.display()))?,
    };
    // Removed first: who sees the program run must not see a gate.
    fs::remove_file(&path).act(|| format!("remove the gate {}", path.display()))?;
    let mut gate = File::from(gate);
    gate.write_all(b"0").act(|| "write to the gate".to_owned())?;
    Ok(gate)
}

/// The poststart hooks, once the program runs; a failure stops nothing, as the spec has it.
pub fn run_hooks(state: &State, gate: &File) -> Vec<Error> {
    if state.poststart.is_empty() {
        return Vec::new();
    }
    // The exec, or the end of the init, closes the other end: this one then reports an error.
    let mut polled = [PollFd::new(gate.as_fd(), PollFlags::empty())];
    if let Err(error) = poll(&mut polled, PollTimeout::NONE).act(|| "wait for the exec".to_owned())
    {
        return vec![error];
    }
    let text = container::report_json(state, Status::Running);
    hooks::run_all("poststart", &state.poststart, &text)
}
