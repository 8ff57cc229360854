//! Per-process switches: prctl, capset and the seccomp program.
#![allow(unsafe_code)]

use super::check;
use super::fd::owned;
use std::io;
use std::os::fd::OwnedFd;

fn prctl(option: i32, a: u64, b: u64) -> io::Result<libc::c_long> {
    // SAFETY: the options used below take integers; unused arguments must be zero.
    check(unsafe { libc::prctl(option, a, b, 0_u64, 0_u64) }.into())
}

/// Keeps the permitted capabilities over the next change of user.
///
/// # Errors
/// Those of prctl(2).
pub fn keep_capabilities(keep: bool) -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, u64::from(keep), 0).map(drop)
}

/// Forbids this process and its children to gain privileges by exec.
///
/// # Errors
/// Those of prctl(2).
pub fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// Hides this process from ptrace and /proc access by its own user.
///
/// # Errors
/// Those of prctl(2).
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, u64::from(dumpable), 0).map(drop)
}

/// Whether the kernel knows this capability and it is in the bounding set.
pub fn in_bounding_set(capability: u32) -> Option<bool> {
    prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0).ok().map(|value| value == 1)
}

/// Takes a capability out of the bounding set.
///
/// # Errors
/// `EPERM`: CAP_SETPCAP is missing.
pub fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0).map(drop)
}

/// Empties the ambient set.
///
/// # Errors
/// Those of prctl(2).
pub fn clear_ambient() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0).map(drop)
}

/// Adds a capability to the ambient set.
///
/// # Errors
/// `EPERM`: it is not both permitted and inheritable.
pub fn raise_ambient(capability: u32) -> io::Result<()> {
    let raise = libc::PR_CAP_AMBIENT_RAISE as u64;
    prctl(libc::PR_CAP_AMBIENT, raise, u64::from(capability)).map(drop)
}

/// The permitted set of this thread, bit n being capability n.
///
/// # Errors
/// Those of capget(2).
pub fn permitted_capabilities() -> io::Result<u64> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    let mut data = [0_u32; 6];
    // SAFETY: version 3 reads a header of two words and writes two records of three words.
    let status = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    check(status)?;
    Ok(u64::from(data[1]) | u64::from(data[4]) << 32)
}

/// Sets the three sets of this thread, bit n being capability n.
///
/// # Errors
/// `EPERM`: a capability is not permitted now.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut data = [0_u32; 6];
    for (index, half) in [0_u32, 32].into_iter().enumerate() {
        data[index * 3] = (effective >> half) as u32;
        data[index * 3 + 1] = (permitted >> half) as u32;
        data[index * 3 + 2] = (inheritable >> half) as u32;
    }
    // SAFETY: version 3 reads a header of two words and two records of three words.
    let status = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
    check(status).map(drop)
}

/// Calls seccomp(2). `program`: the kernel's 8-byte instructions.
fn seccomp(program: &[u8], flags: u32) -> io::Result<libc::c_long> {
    // The kernel copies from user memory byte by byte, but sock_fprog wants a typed pointer.
    let instructions: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .map(|word| libc::sock_filter {
            code: u16::from_ne_bytes([word[0], word[1]]),
            jt: word[2],
            jf: word[3],
            k: u32::from_ne_bytes([word[4], word[5], word[6], word[7]]),
        })
        .collect();
    let length = u16::try_from(instructions.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "seccomp program too long"))?;
    let filter = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the kernel only reads the program, which outlives the call, `length` long.
    let status = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter)
    };
    check(status)
}

/// Whether this kernel knows a `SECCOMP_FILTER_FLAG_*`.
pub fn takes_seccomp_flag(flag: u32) -> bool {
    const WAIT_KILLABLE_RECV: u32 = 1 << 5;
    // That one means something only together with a listener.
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32;
    let flag = if flag == WAIT_KILLABLE_RECV { flag | listener } else { flag };
    let none = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: without a program nothing is installed; flags that are known lead to EFAULT.
    let status =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flag, none) };
    check(status).is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// Installs the filter `program`.
///
/// # Errors
/// `EACCES`: neither no_new_privs nor CAP_SYS_ADMIN. `EINVAL`: no valid program or flags.
pub fn install_seccomp(program: &[u8], flags: u32) -> io::Result<()> {
    seccomp(program, flags).map(drop)
}

/// As [`install_seccomp`]; returns the descriptor at which the calls to be judged are told.
///
/// # Errors
/// As there; `EBUSY`: there is such a filter already.
pub fn install_seccomp_with_listener(program: &[u8], flags: u32) -> io::Result<OwnedFd> {
    let status = seccomp(program, flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32)?;
    owned(status)
}
