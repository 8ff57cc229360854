//! The signals that stop a container, and the name that `ps` shows.
//!
//! A WASI guest cannot install a handler, and as PID 1 the kernel drops every signal that has
//! none. Without these, a container would live on until the SIGKILL after the grace period.

use std::ffi::CStr;

use crate::exit_code::ExitCode;
use crate::sys;

/// What container engines stop a container with.
const STOP: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

/// Lets each stop signal end the process with 128 plus its number, even where the runtime left it
/// blocked or ignored. A broken pipe becomes the guest's `EPIPE`.
pub fn install() {
    for signal in STOP {
        sys::on_signal(signal, end);
    }
    sys::ignore_signal(libc::SIGPIPE);
    sys::unblock_signals(&STOP);
}

/// Runs inside a signal handler: only async-signal-safe calls.
extern "C" fn end(signal: i32) {
    sys::exit_now(ExitCode::of_signal(signal));
}

/// Shows the guest's program name where the kernel shows the executable's. The exec by descriptor
/// leaves the descriptor's number or the runner's name there, the same for every container.
pub fn name_process(program: Option<&CStr>) {
    let path = program.map_or(&[][..], CStr::to_bytes_with_nul);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    if let Ok(name) = CStr::from_bytes_with_nul(name) {
        sys::set_process_name(name);
    }
}
