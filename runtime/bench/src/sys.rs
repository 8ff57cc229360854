//! The calls of ptrace(2) that need raw numbers: real-time signals have no name in nix.
#![allow(unsafe_code)]

use std::io;

/// Waits for any child or traced process; returns its PID and its status.
///
/// # Errors
/// Those of waitpid(2).
pub fn wait_any() -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` may be written to for the length of the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::WUNTRACED) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok((pid, status)) }
}

/// Lets the stopped process `pid` run to its next stop, before and after system calls included,
/// with the signal of this number (0: none).
///
/// # Errors
/// Those of ptrace(2); `ESRCH`: it was killed meanwhile.
pub fn resume(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: this request takes two integers where others take pointers.
    let status = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0_usize, signal as usize) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
