//! A containerd shim that serves many pods from one process.
//!
//! containerd runs `containerd-shim-wamr-v1 start` for every container and is told the socket of a
//! process that serves up to 128 pods (`shard`, `start`, `serve`). That process answers the task
//! service (`task/`) on one thread (`ttrpc/`, one epoll loop) and has the OCI runtime wamr-crun
//! make each container (`runtime_cli`), as a process of its own in its own control group. For a
//! pod's pause container there is no process: its namespaces are held by descriptors (`sandbox`).
//!
//! docs/shim.md has the protocol's facts and what happens when something ends unexpectedly.

mod api;
mod arguments;
mod delete;
mod error;
mod events;
mod info;
mod mounts;
mod poll;
mod runtime_cli;
mod sandbox;
mod serve;
mod shard;
mod spec;
mod start;
mod stats;
mod stdio;
mod sys;
mod task;
mod terminal;
mod ttrpc;

use arguments::{Action, Arguments};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "containerd-shim-wamr-v1: a containerd shim that serves many pods from one \
process

containerd runs it; a handler names it:

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.wamr]
    runtime_type = 'io.containerd.wamr.v1'

Usage:
  containerd-shim-wamr-v1 -namespace NAME -address SOCKET -id ID start   in a bundle
  containerd-shim-wamr-v1 -namespace NAME -address SOCKET -id ID delete  in a bundle
  containerd-shim-wamr-v1 -info                                          as protobuf
  containerd-shim-wamr-v1 -v

The runtime is wamr-crun beside this program, or else in PATH. Files are below /run/wamr-shim.
";

fn main() -> ExitCode {
    let done = arguments::parse(std::env::args().skip(1)).and_then(|arguments| act(&arguments));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("containerd-shim-wamr-v1: {message}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> Result<(), String> {
    let output = match arguments.action {
        Action::Start => start::start(arguments).map_err(|failure| failure.message)?.into_bytes(),
        Action::Delete => delete::delete(arguments).map_err(|failure| failure.message)?,
        Action::Serve => return serve::serve(arguments).map_err(|failure| failure.message),
        Action::Info => info::info(),
        Action::Version => {
            format!("containerd-shim-wamr-v1 {}\n", env!("CARGO_PKG_VERSION")).into_bytes()
        }
        Action::Help => USAGE.as_bytes().to_vec(),
    };
    // On a success nothing may be written to stderr: containerd reads both as one.
    std::io::stdout().write_all(&output).map_err(|error| format!("standard output: {error}"))
}
