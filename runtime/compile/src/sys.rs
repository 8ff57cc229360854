//! System calls, a thin wrapper each.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes the inherited descriptor `number`.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn take(number: i32) -> io::Result<File> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open and was inherited for this use alone.
    Ok(unsafe { File::from_raw_fd(number) })
}

/// Closes all descriptors behind standard error but `kept`.
///
/// # Errors
/// Those of close_range(2).
pub fn close_others(kept: [i32; 2]) -> io::Result<()> {
    let mut kept = kept.map(|number| number as u32);
    kept.sort_unstable();
    let ranges = [(3, kept[0]), (kept[0] + 1, kept[1]), (kept[1] + 1, u32::MAX)];
    for (first, end) in ranges.into_iter().filter(|(first, end)| first < end) {
        let last = if end == u32::MAX { end } else { end - 1 };
        // SAFETY: nothing of this process refers to a descriptor but the kept ones.
        let status = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        check(status as libc::c_int)?;
    }
    Ok(())
}

/// Runs when nobody else wants to. Best effort: it works at any priority.
pub fn lowest_priority() {
    // SAFETY: all zeros is a valid parameter; the calls read it and change this process alone.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        let none: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none);
    }
}

/// Lowers both limits of `resource` to `most`, or leaves lower ones.
///
/// # Errors
/// Those of setrlimit(2).
pub fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` is a valid place for the answer.
    check(unsafe { libc::getrlimit(resource, &raw mut now) })?;
    let lower = now.rlim_max.min(most);
    let limit = libc::rlimit { rlim_cur: now.rlim_cur.min(lower), rlim_max: lower };
    // SAFETY: `limit` is complete.
    check(unsafe { libc::setrlimit(resource, &raw const limit) })
}

/// Keeps no capability and can gain none, and becomes nobody if it is root.
///
/// # Errors
/// Those of the calls.
pub fn drop_privileges() -> io::Result<()> {
    // SAFETY: numbers only.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
    }
    match become_nobody() {
        // A root without the right to, or in a user namespace that has no such user, stays what
        // it is: nothing below depends on it.
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => {
            return Err(error);
        }
        _ => {}
    }
    drop_capabilities()
}

fn become_nobody() -> io::Result<()> {
    const NOBODY: libc::uid_t = 65534;
    // SAFETY: numbers only; the list of groups is empty.
    unsafe {
        if libc::geteuid() != 0 {
            return Ok(());
        }
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
        check(libc::setresuid(NOBODY, NOBODY, NOBODY))
    }
}

/// Those that an ordinary user may have kept.
fn drop_capabilities() -> io::Result<()> {
    // Source: capset(2), _LINUX_CAPABILITY_VERSION_3.
    let header = [0x2008_0522_u32, 0];
    let none = [0_u32; 6];
    // SAFETY: the header and the two sets have the kernel's layout and outlive the call.
    let status = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    check(status as libc::c_int)
}
