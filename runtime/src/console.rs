//! The container's terminal: made inside the container, its master sent to the engine.
//!
//! Source: runtime-spec config.md `process.terminal`; pts(4); runc's terminals document.

use crate::error::{Act, Error, Result};
use crate::rootfs::in_root::Root;
use crate::sys::fd;
use crate::sys::mount;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::{Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Who gets the master of a container's terminal.
#[derive(Debug)]
pub enum Console {
    /// The engine, which listens at `--console-socket`.
    Socket(PathBuf),
    /// This runtime, which stays in the foreground: its end and the one for the container.
    Own(UnixStream, UnixStream),
}

impl Console {
    /// The console of a runtime that stays in the foreground.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn own() -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().act(|| "make a socket pair".to_owned())?;
        Ok(Self::Own(ours, theirs))
    }

    /// The socket that the master is sent through.
    ///
    /// # Errors
    /// [`Error::Os`] with the path.
    pub fn connect(&self) -> Result<OwnedFd> {
        let stream = match self {
            Self::Socket(path) => UnixStream::connect(path)
                .act(|| format!("connect to the console socket {}", path.display()))?,
            Self::Own(_, theirs) => {
                theirs.try_clone().act(|| "duplicate the console socket".to_owned())?
            }
        };
        Ok(stream.into())
    }
}

/// The master of the terminal that was made for `console`, if it came to this runtime.
///
/// # Errors
/// [`Error::Os`]: nothing was sent.
pub fn receive(console: Option<Console>) -> Result<Option<OwnedFd>> {
    let Some(Console::Own(ours, theirs)) = console else { return Ok(None) };
    // The other copies went with the process's exec or end: a master that never came is noticed.
    drop(theirs);
    fd::receive(ours.as_fd()).map(Some).act(|| "receive the terminal's master".to_owned())
}

/// Whether there is a receiver for a terminal, and a terminal for a receiver.
///
/// # Errors
/// [`Error::Usage`] with what to do.
pub fn check(terminal: bool, console: Option<&Console>) -> Result<()> {
    let reason = match (terminal, console) {
        (true, None) => {
            "process.terminal is set: give the terminal's receiver by --console-socket, or stay in \
             the foreground"
        }
        (false, Some(Console::Socket(_))) => {
            "--console-socket has no use: process.terminal is not set"
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(reason.to_owned()))
}

/// A terminal of the container's own devpts.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

/// Opens a new terminal in the container's /dev/pts.
///
/// # Errors
/// [`Error::Os`]; it says so when /dev/pts is not mounted.
pub fn open(root: &Root) -> Result<Terminal> {
    let ptmx = Path::new("/dev/pts/ptmx");
    let master = root.open(ptmx, libc::O_RDWR | libc::O_NOCTTY).act(|| {
        "open /dev/pts/ptmx: process.terminal needs a devpts mount at /dev/pts".to_owned()
    })?;
    fd::unlock_pty(master.as_fd()).act(|| "unlock the new terminal".to_owned())?;
    let slave = fd::open_pty_peer(master.as_fd()).act(|| "open the new terminal".to_owned())?;
    Ok(Terminal { master, slave })
}

impl Terminal {
    /// Puts the terminal at /dev/console, as a container's first process has it.
    ///
    /// # Errors
    /// [`Error::Os`] with the call.
    pub fn become_console(&self, root: &Root) -> Result<()> {
        // A link of the image's could have the terminal cover a file of /proc (the class of
        // CVE-2025-52565).
        let path = Path::new("/dev/console");
        let target = root.make_file(path).and_then(|_| root.refer_without_links(path));
        let target = target.act(|| "make /dev/console, which must be no link".to_owned())?;
        let tree = mount::clone_tree(self.slave.as_fd(), Path::new(""), false)
            .act(|| "bind mount the new terminal".to_owned())?;
        mount::move_mount(tree.as_fd(), target.as_fd())
            .act(|| "bind mount the new terminal at /dev/console".to_owned())
    }

    /// Gives the terminal its size (rows, columns) and owner, makes it this session's, moves
    /// stdio to it and sends its master through `socket`.
    ///
    /// # Errors
    /// [`Error::Os`] with the call.
    pub fn take(self, socket: &OwnedFd, size: Option<(u64, u64)>, uid: u32) -> Result<()> {
        if let Some((rows, columns)) = size.filter(|size| *size != (0, 0)) {
            let small = |number: u64| {
                u16::try_from(number)
                    .map_err(|_| Error::config("process.consoleSize", "above 65535"))
            };
            fd::set_window_size(self.slave.as_fd(), small(rows)?, small(columns)?)
                .act(|| "set the size of the terminal".to_owned())?;
        }
        let group: Option<Gid> = None;
        fchown(&self.slave, Some(Uid::from_raw(uid)), group)
            .act(|| format!("give the terminal to user {uid}"))?;
        let name = [IoSlice::new(b"/dev/ptmx")];
        let fds = [self.master.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(socket.as_raw_fd(), &name, &rights, MsgFlags::empty(), None)
            .act(|| "send the terminal's master through the console socket".to_owned())?;
        fd::set_controlling_terminal(self.slave.as_fd())
            .act(|| "make the terminal the controlling one".to_owned())?;
        dup2_stdin(&self.slave)
            .and_then(|()| dup2_stdout(&self.slave))
            .and_then(|()| dup2_stderr(&self.slave))
            .act(|| "move stdin, stdout and stderr to the terminal".to_owned())
    }
}
