//! Descriptors: openat2, close_range and a few ioctls.
#![allow(unsafe_code)]

use super::check;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `path` for the kernel.
///
/// # Errors
/// `InvalidInput`: a NUL inside.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in the path"))
}

/// Takes a descriptor that a system call just returned.
pub(crate) fn owned(status: libc::c_long) -> io::Result<OwnedFd> {
    let raw = check(status)?;
    // SAFETY: the kernel returned this descriptor to us alone; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

/// Receives one message and the descriptor that may come with it.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive_with_descriptor(
    socket: BorrowedFd,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let received = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    // SAFETY: the kernel made the descriptor for this message; nobody else owns it.
    let received = received.map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
    Ok((message.bytes, received))
}

/// Opens `path` below `dir`, always close-on-exec. `resolve` limits the walk.
///
/// # Errors
/// Those of openat2(2).
pub fn openat2(
    dir: BorrowedFd,
    path: &Path,
    flags: i32,
    mode: u32,
    resolve: u64,
) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: open_how is plain integers; all zero is its documented default.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.mode = u64::from(mode);
    how.resolve = resolve;
    loop {
        // SAFETY: `path` is NUL-terminated, `how` outlives the call and its size is passed.
        let status = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                dir.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        };
        match owned(status) {
            // A rename raced with the walk: the kernel asks to try again.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            other => return other,
        }
    }
}

/// Marks every descriptor from `first` on close-on-exec.
///
/// # Errors
/// Those of close_range(2); kernels before 5.11 do not know the flag.
pub fn close_range_cloexec(first: u32) -> io::Result<()> {
    // SAFETY: only a flag of descriptors changes; no memory is involved.
    let status =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(status).map(drop)
}

/// Closes every descriptor from `first` on. Nothing of this process may own one of them.
///
/// # Errors
/// Those of close_range(2).
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: by contract of this function nobody uses these descriptors; no memory is involved.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Takes descriptor `number`, which the caller inherited and nobody in this process owns yet.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn take_inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads a flag only.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }.into())?;
    // SAFETY: the descriptor is open and, by contract of this function, not owned here.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Receives the one descriptor that is sent through `socket` with some bytes, close-on-exec.
///
/// # Errors
/// Those of recvmsg(2); `UnexpectedEof`: the message brought none.
pub fn receive(socket: BorrowedFd) -> io::Result<OwnedFd> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut bytes = [0; 64];
    let mut parts = [io::IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let received = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let raw = received.ok_or(io::ErrorKind::UnexpectedEof)?;
    // SAFETY: the kernel made this descriptor for the message just received; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Opens the slave side of the terminal whose master is `master`, without a path.
///
/// # Errors
/// Those of ioctl TIOCGPTPEER.
pub fn open_pty_peer(master: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument of TIOCGPTPEER is an integer of open flags.
    owned(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) }.into())
}

/// Unlocks the slave side of a new terminal.
///
/// # Errors
/// Those of ioctl TIOCSPTLCK.
pub fn unlock_pty(master: BorrowedFd) -> io::Result<()> {
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int through the pointer, which outlives the call.
    let status = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    check(status.into()).map(drop)
}

/// Sets the size of the terminal `fd`.
///
/// # Errors
/// Those of ioctl TIOCSWINSZ.
pub fn set_window_size(fd: BorrowedFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize through the pointer, which outlives the call.
    let status = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    check(status.into()).map(drop)
}

/// The size of the terminal `fd`: rows and columns.
///
/// # Errors
/// `ENOTTY`: it is none.
pub fn window_size(fd: BorrowedFd) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize through the pointer, which outlives the call.
    let status = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    check(status.into()).map(|_| (size.ws_row, size.ws_col))
}

/// Makes the terminal `fd` the controlling one of this session leader.
///
/// # Errors
/// Those of ioctl TIOCSCTTY.
pub fn set_controlling_terminal(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: the argument of TIOCSCTTY is an integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}
