//! How many system calls a program makes until it ends, those of its children included.
//!
//! ```text
//! worker --spawn--> counter (traces, writes the count, ends) --spawn--> stage --exec--> program
//! ```
//! The counter is a process of its own: when it ends, what it still traces, a container's init at
//! its gate, is let go by the kernel and runs on untraced.
//!
//! Source: ptrace(2).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use miette::{IntoDiagnostic, Report, Result, WrapErr};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;

use crate::sys;

/// The command that counts, as it is given to this program: then the file for the count.
pub const COUNT: &str = "count";
/// The command that is traced.
pub const STAGE: &str = "count-stage";

/// Waits until it is traced and becomes the program of `words`; returns only why that failed.
pub fn stage(words: &[OsString]) -> Report {
    let Some((program, arguments)) = words.split_first() else {
        return miette::miette!("{STAGE} needs a program");
    };
    if let Err(errno) = raise(Signal::SIGSTOP) {
        return miette::miette!("raise(SIGSTOP): {errno}");
    }
    let error = Command::new(program).args(arguments).exec();
    miette::miette!("start {}: {error}", program.display())
}

/// Runs the program of `words`, writes the count to `out` and ends as the program did.
///
/// # Errors
/// It cannot be started or traced.
pub fn count(out: &Path, words: &[OsString]) -> Result<ExitCode> {
    let child = Command::new("/proc/self/exe").arg(STAGE).arg("--").args(words).spawn();
    let child = child.into_diagnostic().wrap_err("start what is traced")?.id() as i32;
    let (status, calls) = match follow(child) {
        Ok(found) => found,
        Err(error) => {
            // Untraced, it would wait forever.
            kill(Pid::from_raw(child), Signal::SIGKILL).ok();
            return Err(error).into_diagnostic().wrap_err("trace the program");
        }
    };
    fs::write(out, calls.to_string()).into_diagnostic().wrap_err("write the count")?;
    Ok(ExitCode::from(status as u8))
}

/// Traces the stopped process `child`; the processes that it makes are traced from their birth.
///
/// Seized, not attached: what is still traced when this process ends just runs on, where an
/// attached one might be left with the SIGSTOP that it was attached by.
fn seize(child: i32) -> io::Result<()> {
    let also = Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(Pid::from_raw(child), Options::PTRACE_O_TRACESYSGOOD | also)?;
    Ok(kill(Pid::from_raw(child), Signal::SIGCONT)?)
}

/// Follows `child` and its descendants until it ends; its exit status and all their calls since it
/// became the program.
fn follow(child: i32) -> io::Result<(i32, u64)> {
    let (mut seized, mut executed, mut calls) = (false, false, 0);
    loop {
        let (pid, status) = sys::wait_any()?;
        if !libc::WIFSTOPPED(status) {
            let exited = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            let code = exited.unwrap_or_else(|| 128 + libc::WTERMSIG(status));
            if pid == child {
                return Ok((code, calls));
            }
            continue;
        }
        if !seized {
            seize(child)?;
            seized = true;
            continue;
        }
        let signal = match (libc::WSTOPSIG(status), status >> 16) {
            // A system call begins or ends.
            (stop, 0) if stop == libc::SIGTRAP | 0x80 => {
                calls += u64::from(executed && begins(pid));
                0
            }
            (signal, 0) => signal,
            (_, event) => {
                executed |= event == libc::PTRACE_EVENT_EXEC;
                0
            }
        };
        match sys::resume(pid, signal) {
            // Killed since; the next wait tells.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
}

/// Whether the process stands before a system call and not after one.
fn begins(pid: i32) -> bool {
    let info = ptrace::syscall_info(Pid::from_raw(pid));
    info.is_ok_and(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)
}
