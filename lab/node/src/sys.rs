//! System calls that nix does not wrap, or wraps as `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::unistd::{ForkResult, Pid};

/// Proof that this process has one thread, which `fork` needs: the child of a process with more may
/// find locks held by threads that it lacks.
#[derive(Debug, Clone, Copy)]
pub struct SingleThreaded(());

impl SingleThreaded {
    /// Looks at the caller's own /proc, so it must come before entering other namespaces.
    ///
    /// # Errors
    /// The process has more than one thread.
    pub fn prove() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(())),
            threads => Err(io::Error::other(format!("this process has {threads} threads, not 1"))),
        }
    }
}

/// `fork(2)`.
///
/// # Errors
/// The kernel has no room for a process.
pub fn fork(_proof: SingleThreaded) -> io::Result<ForkResult> {
    // SAFETY: with a single thread, no lock can be held by a thread that the child lacks.
    unsafe { nix::unistd::fork() }.map_err(io::Error::from)
}

/// `pidfd_open(2)`: a handle that never comes to mean another process.
///
/// # Errors
/// There is no such process.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `pidfd_send_signal(2)`.
///
/// # Errors
/// The process is gone, or may not be signalled.
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed and means "as kill(2)"; the descriptor is borrowed.
    let status = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// This process as a [`Pid`] number.
pub fn own_pid() -> u32 {
    Pid::this().as_raw() as u32
}
