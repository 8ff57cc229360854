//! The command line of the shim; what it does is in the library.

use std::io::Write;
use std::process::ExitCode;
use wamr_shim::arguments::{self, Action, Arguments};
use wamr_shim::{delete, info, serve, start};

const USAGE: &str = "containerd-shim-wamr-crun-v1: a containerd shim: one process for many pods

containerd starts it for the containers of a handler such as:

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.wamr]
    runtime_type = 'io.containerd.wamr-crun.v1'

Usage:
  containerd-shim-wamr-crun-v1 -namespace NAME -address SOCKET -id ID start   in a bundle
  containerd-shim-wamr-crun-v1 -namespace NAME -address SOCKET -id ID delete  in a bundle
  containerd-shim-wamr-crun-v1 -info                                          prints protobuf
  containerd-shim-wamr-crun-v1 -v

The runtime is the wamr-crun beside this program or, failing that, in PATH. The shim keeps its
files below /run/wamr-shim.
";

fn main() -> ExitCode {
    let done = arguments::parse(std::env::args().skip(1)).and_then(act);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("containerd-shim-wamr-crun-v1: {message}");
            ExitCode::FAILURE
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
        Action::Info => info::info(),
        Action::Version => {
            format!("containerd-shim-wamr-crun-v1 {}\n", env!("CARGO_PKG_VERSION")).into_bytes()
        }
        Action::Help => USAGE.as_bytes().to_vec(),
    };
    // On a success nothing may be written to stderr: containerd reads both as one.
    std::io::stdout().write_all(&output).map_err(|error| format!("standard output: {error}"))
}
