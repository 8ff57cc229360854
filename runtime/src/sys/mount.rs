//! The descriptor-based mount calls (Linux 5.2 and 5.12).
//!
//! A mount is prepared detached, with all its attributes, and appears in the tree by one
//! move_mount: there is no moment in which it is visible with weaker attributes.
#![allow(unsafe_code)]

use super::check;
use super::fd::{c_path, owned};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What mount_setattr changes. Layout of the kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// One of `MS_PRIVATE`, `MS_SHARED`, `MS_SLAVE`, `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
    /// A user namespace for `MOUNT_ATTR_IDMAP`.
    pub userns_fd: u64,
}

/// Clones the mount at `path` (relative to `dir`; empty: `dir` itself) as a detached one.
///
/// # Errors
/// Those of open_tree(2); `EINVAL`: the mount is of another mount namespace or unbindable.
pub fn clone_tree(dir: BorrowedFd, path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    // SAFETY: `path` is NUL-terminated and outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) })
}

/// Attaches the detached mount `from` at the file or directory that `to` refers to.
///
/// # Errors
/// Those of move_mount(2).
pub fn move_mount(from: BorrowedFd, to: BorrowedFd) -> io::Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    let empty = c"".as_ptr();
    // SAFETY: both paths are NUL-terminated literals.
    let status = unsafe {
        libc::syscall(libc::SYS_move_mount, from.as_raw_fd(), empty, to.as_raw_fd(), empty, flags)
    };
    check(status).map(drop)
}

/// Changes the attributes of the mount that `fd` refers to, and below it if `recursive`.
///
/// # Errors
/// Those of mount_setattr(2).
pub fn set_attributes(fd: BorrowedFd, attr: &MountAttr, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal, `attr` has the kernel's layout and its size is passed.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    check(status).map(drop)
}

/// Begins a new file system of this type.
///
/// # Errors
/// Those of fsopen(2); `ENODEV`: the kernel does not know the type.
pub fn fs_open(fstype: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: `fstype` is NUL-terminated.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), libc::FSOPEN_CLOEXEC) })
}

/// What fsconfig does to a file system that was begun.
#[derive(Debug, Clone, Copy)]
pub enum FsConfig<'a> {
    /// An option without a value.
    Flag(&'a CStr),
    /// An option with a value of at most 255 bytes.
    String(&'a CStr, &'a CStr),
    /// Creates the superblock.
    Create,
}

/// Configures the file system `fs`.
///
/// # Errors
/// Those of fsconfig(2), with the file system's own explanation where it left one.
pub fn fs_config(fs: BorrowedFd, config: FsConfig) -> io::Result<()> {
    let null = std::ptr::null();
    let (command, key, value) = match config {
        FsConfig::Flag(key) => (libc::FSCONFIG_SET_FLAG, key.as_ptr(), null),
        FsConfig::String(key, value) => (libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr()),
        FsConfig::Create => (libc::FSCONFIG_CMD_CREATE, null, null),
    };
    // SAFETY: key and value are NUL-terminated or null as the command demands.
    let status =
        unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, key, value, 0) };
    check(status).map(drop).map_err(|error| explained(fs, error))
}

/// Adds the message that the file system left in its context, if any.
fn explained(fs: BorrowedFd, error: io::Error) -> io::Error {
    let mut message = [0_u8; 256];
    match nix::unistd::read(fs, &mut message) {
        Ok(length) if length > 0 => {
            let text = String::from_utf8_lossy(&message[..length]);
            let text = text.trim_end().trim_start_matches("e ");
            io::Error::new(error.kind(), format!("{error} ({text})"))
        }
        _ => error,
    }
}

/// The new file system `fs` as a detached mount with the attributes `attr` (`MOUNT_ATTR_*`).
///
/// # Errors
/// Those of fsmount(2).
pub fn fs_mount(fs: BorrowedFd, attr: u64) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attr) })
}
