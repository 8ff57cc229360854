//! Clocks, and files that are ready to be read or written.

use std::ffi::c_int;
use std::io;

use libc::{clockid_t, pollfd, timespec};

use super::check;

/// What `clock` shows.
pub fn clock_now_ns(clock: clockid_t) -> u64 {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer. It fails for unknown clocks only.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// Waits until one of `files` is ready or `timeout_ns` has gone, and notes in `files` which are.
///
/// # Errors
/// Those of ppoll(2) but `EINTR`, after which nothing is ready.
pub fn wait_for(files: &mut [pollfd], timeout_ns: Option<u64>) -> io::Result<()> {
    let timeout = timeout_ns.map(|ns| timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as _,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let (list, count) = (files.as_mut_ptr(), files.len() as libc::nfds_t);
    // SAFETY: `list` has `count` entries; the timeout lives until the call returns or is null.
    match check(unsafe { libc::ppoll(list, count, timeout, std::ptr::null()) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Ok(_) => Ok(()),
        Err(_) => {
            for file in files {
                file.revents = 0;
            }
            Ok(())
        }
    }
}

/// Whether `fd` is a pipe.
pub fn is_pipe(fd: c_int) -> bool {
    status(fd).is_some_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

fn status(fd: c_int) -> Option<libc::stat> {
    // SAFETY: all zeros is a valid `stat`.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a valid place for the answer.
    let status = unsafe { libc::fstat(fd, &raw mut found) };
    (status == 0).then_some(found)
}

/// How many bytes of `fd` can be read at once; 0 where that cannot be told.
pub fn readable_bytes(fd: c_int) -> u64 {
    if let Some(found) = status(fd)
        && found.st_mode & libc::S_IFMT == libc::S_IFREG
    {
        // SAFETY: takes no pointer.
        let place = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
        return u64::try_from(found.st_size - place.max(0)).unwrap_or(0);
    }
    let mut count: c_int = 0;
    // SAFETY: `count` is the place for the answer that this request wants.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut count) };
    u64::try_from(count).unwrap_or(0)
}
