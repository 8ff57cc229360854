//! The command line of the shim; what it does is in the library.
#![cfg_attr(not(test), no_main)]

#[cfg(not(test))]
#[path = "entry/sys.rs"]
mod entry;

use std::io::Write;
use wamr_shim::arguments::{self, Action, Arguments};
use wamr_shim::{delete, handover, info, serve, start, upgrade};

const USAGE: &str = "containerd-shim-wamr-crun-v1: a containerd shim: one process for many pods

containerd starts it for the containers of a handler such as:

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.wamr]
    runtime_type = 'io.containerd.wamr-crun.v1'

Usage:
  containerd-shim-wamr-crun-v1 -namespace NAME -address SOCKET -id ID start   in a bundle
  containerd-shim-wamr-crun-v1 -namespace NAME -address SOCKET -id ID delete  in a bundle
  containerd-shim-wamr-crun-v1 upgrade [DIRECTORY...]
  containerd-shim-wamr-crun-v1 -info                                          prints protobuf
  containerd-shim-wamr-crun-v1 -v

`upgrade` has the processes that serve pods go on as this program, all of them or those whose
directories are named; pods, calls and connections stay. One that refuses stays what it is.

The runtime is the wamr-crun beside this program or, failing that, in PATH. The shim keeps its
files below /run/wamr-shim.
";

/// The status that this program ends with.
#[cfg_attr(test, expect(dead_code, reason = "the harness has a main of its own"))]
fn run() -> i32 {
    let done = arguments::parse(std::env::args().skip(1)).and_then(act);
    match done {
        Ok(()) => 0,
        Err(message) => {
            eprintln!("containerd-shim-wamr-crun-v1: {message}");
            1
        }
    }
}

fn act(arguments: Arguments) -> Result<(), String> {
    let output = match arguments.action {
        Action::Start => start::start(arguments).map_err(|failure| failure.message)?,
        Action::Delete => {
            arguments.check_names()?;
            delete::delete(&arguments).map_err(|failure| failure.message)?
        }
        Action::Serve => return serve::serve(&arguments).map_err(|failure| failure.message),
        Action::TakeOver => return serve::take_over(&arguments).map_err(|failure| failure.message),
        Action::CheckState => return handover::check().map_err(|failure| failure.message),
        Action::Upgrade => return upgrade::upgrade(&arguments.directories),
        Action::Info => info::info(),
        Action::Version => {
            format!("containerd-shim-wamr-crun-v1 {}\n", env!("CARGO_PKG_VERSION")).into_bytes()
        }
        Action::Help => USAGE.as_bytes().to_vec(),
    };
    // On a success nothing may be written to stderr: containerd reads both as one.
    let mut stdout = std::io::stdout();
    stdout
        .write_all(&output)
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("standard output: {error}"))
}
