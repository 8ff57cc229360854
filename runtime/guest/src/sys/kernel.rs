//! File systems on which a guest has no business.

use std::ffi::c_int;

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
