//! Detached mounts and loop devices, for which neither std nor nix has calls.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `MOUNT_ATTR_IDMAP` and `MOUNT_ATTR_RDONLY`.
const ID_MAPPED: u64 = 0x0010_0000;
const READ_ONLY: u64 = 1;

fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    Ok(nix::errno::Errno::result(answer)?)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Clones the mounts at and below `path`; they are nowhere yet.
///
/// # Errors
/// Those of open_tree(2).
pub fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(checked(answer)? as i32) })
}

/// Shows the files of cloned mounts as those of the users of `user_namespace`.
///
/// # Errors
/// Those of mount_setattr(2); `EINVAL`: the file system cannot do it.
pub fn map_ids(tree: impl AsFd, user_namespace: impl AsFd, read_only: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: ID_MAPPED | if read_only { READ_ONLY } else { 0 },
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: user_namespace.as_fd().as_raw_fd() as u64,
    };
    // SAFETY: the path is a literal; the kernel reads so many bytes from where `attributes` is.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    checked(answer).map(drop)
}

/// Puts cloned mounts on `target`.
///
/// # Errors
/// Those of move_mount(2).
pub fn attach(tree: impl AsFd, target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    checked(answer).map(drop)
}

/// Source: linux/loop.h.
const LOOP_CTL_GET_FREE: u64 = 0x4c82;
const LOOP_CONFIGURE: u64 = 0x4c0a;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config`, with `struct loop_info64` in it.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    device_to_size_limit: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    file_name: [u8; 64],
    encryption_name_and_key: [u8; 96],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// How a loop device shows its file.
#[derive(Debug, Clone, Copy)]
pub struct LoopFlags {
    /// Nobody may write to it.
    pub read_only: bool,
    /// Around the page cache.
    pub direct_io: bool,
}

/// The number of a loop device that nobody uses.
///
/// # Errors
/// `control` is not /dev/loop-control.
pub fn free_loop(control: impl AsFd) -> io::Result<u32> {
    // SAFETY: this request has no argument.
    let answer = unsafe { libc::ioctl(control.as_fd().as_raw_fd(), LOOP_CTL_GET_FREE as _) };
    Ok(checked(answer.into())? as u32)
}

/// Has `device` show `file`, called `name`, until nobody has the device open or mounted.
///
/// # Errors
/// `EBUSY`: it shows another one. Linux before 5.8 does not know the request.
pub fn configure_loop(
    device: impl AsFd,
    file: impl AsFd,
    name: &Path,
    flags: LoopFlags,
) -> io::Result<()> {
    let mut file_name = [0; 64];
    let name = name.as_os_str().as_bytes();
    let shown = name.len().min(file_name.len() - 1);
    file_name[..shown].copy_from_slice(&name[..shown]);
    let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
    let config = LoopConfig {
        fd: file.as_fd().as_raw_fd() as u32,
        block_size: 0,
        device_to_size_limit: [0; 5],
        number: 0,
        encryption: [0; 2],
        flags: LO_FLAGS_AUTOCLEAR
            | flag(flags.read_only, LO_FLAGS_READ_ONLY)
            | flag(flags.direct_io, LO_FLAGS_DIRECT_IO),
        file_name,
        encryption_name_and_key: [0; 96],
        init: [0; 2],
        reserved: [0; 8],
    };
    let device = device.as_fd().as_raw_fd();
    // SAFETY: the kernel reads a loop_config from where `config` is, which has its layout.
    let answer = unsafe { libc::ioctl(device, LOOP_CONFIGURE as _, &raw const config) };
    checked(answer.into()).map(drop)
}

#[test]
fn the_kernels_layout() {
    assert_eq!(size_of::<LoopConfig>(), 304);
    assert_eq!(std::mem::offset_of!(LoopConfig, flags), 60);
    assert_eq!(std::mem::offset_of!(LoopConfig, file_name), 64);
}
