//! What the compiler gives up before it reads a module.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};

use crate::sys;

/// Address space: Cranelift takes about 30 bytes for each byte of a module.
const MOST_MEMORY_BYTES: u64 = 6 << 30;
/// Processor time; the largest programs known take a minute.
const MOST_SECONDS: u64 = 600;
/// A compiled module is three to four times as large as its source.
const MOST_FILE_BYTES: u64 = 2 << 30;

/// System calls that reading, compiling and writing need. None of them opens, connects, starts or
/// traces anything.
const CALLS: [&str; 34] = [
    "brk",
    "clock_gettime",
    "close",
    "exit",
    "exit_group",
    "fcntl",
    "fstat",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "lseek",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "newfstatat",
    "pread64",
    "prlimit64",
    "pwrite64",
    "read",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "statx",
    "tgkill",
    "write",
    "writev",
];

/// Gives everything up but the two files and standard error.
///
/// # Errors
/// What could not be given up: then nothing is compiled.
pub fn all(module: &File, artifact: &File) -> io::Result<()> {
    let says = |act: &'static str| move |error| io::Error::other(format!("{act}: {error}"));
    sys::close_others([module.as_raw_fd(), artifact.as_raw_fd()])
        .map_err(says("close descriptors"))?;
    for (resource, most) in [
        (libc::RLIMIT_AS, MOST_MEMORY_BYTES),
        (libc::RLIMIT_CPU, MOST_SECONDS),
        (libc::RLIMIT_FSIZE, MOST_FILE_BYTES),
        (libc::RLIMIT_CORE, 0),
    ] {
        sys::limit(resource, most).map_err(says("set a limit"))?;
    }
    sys::drop_privileges().map_err(says("drop privileges"))?;
    filter().map_err(|error| io::Error::other(format!("load the seccomp filter: {error}")))
}

fn filter() -> Result<(), libseccomp::error::SeccompError> {
    let mut context = ScmpFilterContext::new(ScmpAction::KillProcess)?;
    for name in CALLS {
        // One that this architecture does not have cannot be called either.
        if let Ok(call) = ScmpSyscall::from_name(name) {
            context.add_rule(ScmpAction::Allow, call)?;
        }
    }
    context.load()
}
