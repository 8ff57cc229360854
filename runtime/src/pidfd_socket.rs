//! `--pidfd-socket`: who listens there gets a descriptor of the new process.

use crate::error::{Act, Result};
use crate::sys::process::pidfd_open;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Sends a descriptor of the process `pid` to who listens at `socket`.
///
/// # Errors
/// [`crate::error::Error::Os`] with the path.
pub fn send(socket: &Path, pid: i32) -> Result<()> {
    let act = || format!("send a pidfd to {}", socket.display());
    let stream = UnixStream::connect(socket).act(act)?;
    let pidfd = pidfd_open(pid).act(act)?;
    let fds = [pidfd.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let name = [IoSlice::new(b"pidfd")];
    sendmsg::<()>(stream.as_raw_fd(), &name, &rights, MsgFlags::MSG_NOSIGNAL, None)
        .map(drop)
        .act(act)
}
