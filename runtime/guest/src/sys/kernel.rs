//! Where a path leads: to a file system on which a guest has no business, or to nothing.

use std::ffi::{CString, c_int};

/// File systems that show the kernel or other processes. A mount of them by any name is one.
///
/// Source: linux/magic.h.
const KERNEL: [i64; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x27_e0eb,   // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6265_6570, // configfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
];

/// Whether `fd` is on a file system that shows the kernel. A file whose file system cannot be told
/// counts as such.
pub fn is_kernel_file(fd: c_int) -> bool {
    // SAFETY: all zeros is a valid `statfs`.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a valid place for the answer.
    let status = unsafe { libc::fstatfs(fd, &raw mut found) };
    status != 0 || KERNEL.contains(&found.f_type)
}

/// Whether something is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is not.
    Nothing,
    /// There is, or it cannot be told: whoever opens it will learn why.
    Something,
}

/// Looks for `path` below `directory`, without leaving it and without following its last part.
pub fn find_below(directory: c_int, path: &[u8]) -> Found {
    let Ok(path) = CString::new(path) else { return Found::Something };
    // SAFETY: all zeros is a valid `open_how`.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_BENEATH;
    let (path, how_at, size) = (path.as_ptr(), &raw const how, size_of::<libc::open_how>());
    // SAFETY: the path is NUL-terminated; `how` has the size that is given.
    let fd = unsafe { libc::syscall(libc::SYS_openat2, directory, path, how_at, size) };
    if fd >= 0 {
        // SAFETY: takes no pointer; the descriptor was opened above.
        unsafe { libc::close(fd as c_int) };
        return Found::Something;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Found::Nothing,
        _ => Found::Something,
    }
}
