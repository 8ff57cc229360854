//! Making, signalling and replacing processes.
#![allow(unsafe_code)]

use super::check;
use super::fd::owned;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// `CLONE_INTO_CGROUP`: libc's constant does not fit its type.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of [`clone3`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloned {
    /// The caller; the child's PID in the caller's PID namespace.
    Parent(i32),
    /// The new process.
    Child,
}

/// Copies this process into new namespaces (`flags`: `CLONE_NEW*`, `CLONE_PARENT`), and into the
/// cgroup v2 directory `cgroup`.
///
/// The process must be single-threaded: the child goes on with this program's memory, and a lock
/// held by another thread would never be released in it.
///
/// # Errors
/// Those of clone3(2).
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd>) -> io::Result<Cloned> {
    // SAFETY: clone_args is plain integers; all zero is its documented default.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    // With CLONE_PARENT the kernel takes the signal of the caller and wants 0 here.
    if flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child gets its own copy of memory and stack, as with fork;
    // single-threadedness is the caller's duty, stated above.
    let status =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    Ok(match check(status)? {
        0 => Cloned::Child,
        pid => Cloned::Parent(pid as i32),
    })
}

/// A descriptor of the process `pid`.
///
/// # Errors
/// `ESRCH`: there is no such process.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers only; the kernel makes the descriptor close-on-exec.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Sends `signal` to the process behind `pidfd`.
///
/// # Errors
/// `ESRCH`: it has finished. `EINVAL`: no such signal.
pub fn pidfd_send_signal(pidfd: BorrowedFd, signal: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for the default one.
    let status =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    check(status).map(drop)
}

/// Replaces this process by the program `path`, relative to `dir`; an empty path is the file of
/// `dir` itself. Returns only on failure.
pub fn execveat(dir: RawFd, path: &CStr, argv: &[&CStr], envp: &[&CStr]) -> io::Error {
    let pointers = |strings: &[&CStr]| {
        let null = std::ptr::null();
        strings.iter().map(|text| text.as_ptr()).chain([null]).collect::<Vec<_>>()
    };
    let (arguments, environment) = (pointers(argv), pointers(envp));
    let flags = if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            dir,
            path.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            flags,
        )
    };
    io::Error::last_os_error()
}

/// Ends this process without running anything of the program it was copied from.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Joins the session keyring called `name`, which is made where there is none that the user may
/// search, and lets the user's other processes find it.
///
/// # Errors
/// Those of keyctl(2); `EDQUOT`: the user has too many keys; `ENOSYS`: no keyrings here.
pub fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    const KEYCTL_SETPERM: libc::c_long = 5;
    // What a new keyring has, all for its possessors and view, read and link for its user; and
    // search for its user.
    const PERMISSIONS: libc::c_long = 0x3f13_0000 | 0x0008_0000;
    // SAFETY: `name` is NUL-terminated.
    let status =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    let ring = check(status)?;
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SETPERM, ring, PERMISSIONS) }).map(drop)
}

/// Sets a resource limit by its kernel number; `u64::MAX` is unlimited.
///
/// # Errors
/// `EPERM`: raising the hard limit needs CAP_SYS_RESOURCE. `EINVAL`: soft above hard.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let old = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: `limit` outlives the call, the old value is not asked for.
    let status = unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, old) };
    check(status).map(drop)
}

/// Gives every signal its default action and unblocks all: what the engine or Rust's start code
/// chose (SIGPIPE is ignored by it) must not reach the container.
pub fn reset_signals() {
    // Straight to the kernel: the C library keeps its own two signals to itself, and an engine may
    // have them ignored. All zero is SIG_DFL without flags and mask.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        let old = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads four words and 8 bytes of mask; SIG_DFL installs no code. For
        // KILL and STOP the call fails without effect.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, 8_usize);
        }
    }
    // SAFETY: `none` is initialised by sigemptyset before it is read.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Sets the NIS domain name of this UTS namespace.
///
/// # Errors
/// Those of setdomainname(2).
pub fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length describe `name`, which the kernel copies.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }.into()).map(drop)
}
