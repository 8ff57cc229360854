//! The guest's standard streams: files like others, but that not to block is a matter between the
//! guest and this process (`wamr_guest::nonblocking`).

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

use wamr_guest::nonblocking::{can_read, room_bytes};
use wamr_guest::poll::Errno;
use wamr_guest::sys::is_pipe;

use super::intercept::Kept;
use super::poll::guest_slice;

const AGAIN: Errno = 6;
/// The flag of an open file that it does not block.
const NONBLOCK: u16 = 4;

/// The streams that do not block, a bit each. WAMR never closes 0, 1 and 2.
static NONBLOCKING: AtomicU8 = AtomicU8::new(0);

/// WASI's status of a file, as far as it is changed here.
#[repr(C)]
struct FileStatus {
    device: u64,
    inode: u64,
    kind: u8,
}

const UNKNOWN: u8 = 0;

unsafe extern "C" {
    fn __real_os_fstat(file: c_int, found: *mut FileStatus) -> Errno;
    fn __real_os_file_get_fdflags(file: c_int, flags: *mut u16) -> Errno;
    fn __real_os_file_set_fdflags(file: c_int, flags: u16) -> Errno;
    fn __real_os_readv(
        file: c_int,
        parts: *const libc::iovec,
        count: c_int,
        read: *mut usize,
    ) -> Errno;
    fn __real_os_writev(
        file: c_int,
        parts: *const libc::iovec,
        count: c_int,
        written: *mut usize,
    ) -> Errno;
}

fn bit(file: c_int) -> u8 {
    if (0..=2).contains(&file) { 1 << file } else { 0 }
}

fn blocks(file: c_int) -> bool {
    NONBLOCKING.load(Ordering::Relaxed) & bit(file) == 0
}

/// WAMR asks no further what the files 0, 1 and 2 are, so a guest would see no terminal there, and
/// could neither seek nor set flags. Denied, it looks, as it does at any other file.
extern "C" fn is_no_stream(_file: c_int) -> bool {
    false
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_os_is_stdin_handle(file: c_int) -> bool {
    is_no_stream(file)
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_os_is_stdout_handle(file: c_int) -> bool {
    is_no_stream(file)
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_os_is_stderr_handle(file: c_int) -> bool {
    is_no_stream(file)
}

/// What a file is. WAMR calls a pipe a socket; WASI has no name for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_fstat(file: c_int, found: *mut FileStatus) -> Errno {
    // SAFETY: the arguments go on as WAMR gave them.
    let error = unsafe { __real_os_fstat(file, found) };
    if error == 0 && is_pipe(file) {
        // SAFETY: after success WAMR's function has filled it.
        unsafe { (*found).kind = UNKNOWN };
    }
    error
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_file_get_fdflags(file: c_int, flags: *mut u16) -> Errno {
    // SAFETY: the arguments go on as WAMR gave them.
    let error = unsafe { __real_os_file_get_fdflags(file, flags) };
    if error == 0 && !blocks(file) {
        // SAFETY: after success WAMR's function has stored the flags there.
        unsafe { *flags |= NONBLOCK };
    }
    error
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_file_set_fdflags(file: c_int, flags: u16) -> Errno {
    if bit(file) == 0 {
        // SAFETY: takes no pointer.
        return unsafe { __real_os_file_set_fdflags(file, flags) };
    }
    let mut set = 0;
    // SAFETY: `set` is a valid place for the flags.
    let error = unsafe { __real_os_file_get_fdflags(file, &raw mut set) };
    if error != 0 {
        return error;
    }
    let wanted = flags & (set | !NONBLOCK);
    // SAFETY: takes no pointer.
    let error = if wanted == set { 0 } else { unsafe { __real_os_file_set_fdflags(file, wanted) } };
    if error == 0 && flags & NONBLOCK != 0 {
        NONBLOCKING.fetch_or(bit(file), Ordering::Relaxed);
    } else if error == 0 {
        NONBLOCKING.fetch_and(!bit(file), Ordering::Relaxed);
    }
    error
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_readv(
    file: c_int,
    parts: *const libc::iovec,
    count: c_int,
    read: *mut usize,
) -> Errno {
    if !blocks(file) && !can_read(file) {
        return AGAIN;
    }
    // SAFETY: the arguments go on as WAMR gave them.
    unsafe { __real_os_readv(file, parts, count, read) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_writev(
    file: c_int,
    parts: *const libc::iovec,
    count: c_int,
    written: *mut usize,
) -> Errno {
    if blocks(file) {
        // SAFETY: the arguments go on as WAMR gave them.
        return unsafe { __real_os_writev(file, parts, count, written) };
    }
    let Some(room_bytes) = room_bytes(file) else { return AGAIN };
    // SAFETY: WAMR passes `count` parts, none where there are none.
    let parts = unsafe { guest_slice(parts, usize::try_from(count).unwrap_or(0)) };
    let first = parts.iter().find(|part| part.iov_len > 0).or(parts.first());
    let Some(mut first) = first.copied() else {
        // SAFETY: as above.
        return unsafe { __real_os_writev(file, parts.as_ptr(), count, written) };
    };
    first.iov_len = first.iov_len.min(room_bytes);
    // SAFETY: one part, which is the guest's; the place for the count is WAMR's.
    unsafe { __real_os_writev(file, &raw const first, 1, written) }
}

#[used]
static KEPT: [Kept; 8] = [
    Kept(__wrap_os_fstat as *const c_void),
    Kept(__wrap_os_is_stdin_handle as *const c_void),
    Kept(__wrap_os_is_stdout_handle as *const c_void),
    Kept(__wrap_os_is_stderr_handle as *const c_void),
    Kept(__wrap_os_file_get_fdflags as *const c_void),
    Kept(__wrap_os_file_set_fdflags as *const c_void),
    Kept(__wrap_os_readv as *const c_void),
    Kept(__wrap_os_writev as *const c_void),
];
