//! The system calls for which there is no safe wrapper elsewhere.
#![allow(unsafe_code)]

pub mod mount;

use crate::api::task::signalled;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::{ForkResult, Pid};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

/// Runs `work` in a process of its own, which ends with the code that it returns.
///
/// # Errors
/// fork(2) failed.
pub fn in_child(work: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: this process has one thread, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => process::exit(work()),
    }
}

/// Closes all descriptors but the standard streams and `keep`. For a child, which does not touch
/// what its parent had open.
pub fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut first: u32 = 3;
    for fd in kept.into_iter().filter(|fd| *fd > 2).chain([u32::MAX]) {
        if fd > first {
            // SAFETY: no memory is touched; whoever owned the descriptors is in the parent.
            unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) };
        }
        first = fd.saturating_add(1);
    }
}

/// Sends a message, and descriptors with it.
///
/// # Errors
/// The other side is gone, or the message is empty.
pub fn send_with_fds(socket: impl AsFd, text: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let bytes = [IoSlice::new(text)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &bytes, control, flags, None)?;
    Ok(())
}

/// Takes what has come, without waiting: bytes, and at most four descriptors.
///
/// # Errors
/// Nothing is there.
pub fn receive_with_fds(socket: impl AsFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = vec![0; 4096];
    let mut space = nix::cmsg_space!([i32; 4]);
    let mut bytes = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let socket = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(socket, &mut bytes, Some(&mut space), flags)?;
    let count = message.bytes;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nobody
            // else knows of them.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    text.truncate(count);
    Ok((text, fds))
}

/// Takes a child that has ended, if there is one: its number, and its exit code or 128 and the
/// signal's number. nix knows no signals without a name, and would lose who ended by one.
pub fn reap() -> Option<(i32, u32)> {
    let mut status = 0;
    // SAFETY: the kernel writes an int to where `status` is.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let code = if libc::WIFSIGNALED(status) {
        signalled(libc::WTERMSIG(status))
    } else {
        libc::WEXITSTATUS(status) as u32
    };
    (pid > 0).then_some((pid, code))
}

/// Has `command` start with at most so many descriptors.
pub fn limit_open_files(command: &mut process::Command, soft: u64, hard: u64) {
    use nix::sys::resource::{Resource, setrlimit};
    use std::os::unix::process::CommandExt;
    let limit = move || setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(limit) };
}

/// Has `command` start with `fds` as its descriptors 3, 4 and 5. What is returned has to be there
/// until it has started.
///
/// # Errors
/// No descriptor is left.
pub fn hand_over(
    command: &mut process::Command,
    fds: [BorrowedFd<'_>; 3],
) -> io::Result<Vec<OwnedFd>> {
    use nix::errno::Errno;
    use std::os::unix::process::CommandExt;
    // std's own descriptor, by which it hears of a failure, is not to be one of these.
    let mut in_the_way = Vec::new();
    while in_the_way.last().is_none_or(|last: &OwnedFd| last.as_raw_fd() <= 5) {
        in_the_way.push(std::fs::File::open("/dev/null")?.into());
    }
    let fds = fds.map(|fd| fd.as_raw_fd());
    let place = move || {
        let mut apart = [0; 3];
        for (apart, fd) in apart.iter_mut().zip(fds) {
            // SAFETY: this makes a descriptor, and touches no memory.
            *apart = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) })?;
        }
        for (number, apart) in (3..).zip(apart) {
            // SAFETY: whoever had that number is in the parent; no memory is touched.
            Errno::result(unsafe { libc::dup2(apart, number) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes six system calls and allocates nothing.
    unsafe { command.pre_exec(place) };
    Ok(in_the_way)
}

/// Standard input, if it ends in time and is no longer than `limit_bytes`. A terminal is not read.
pub fn read_stdin(limit_bytes: usize, patience: Duration) -> Option<Vec<u8>> {
    use io::{IsTerminal, Read};
    let mut input = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    if input.is_terminal() {
        return None;
    }
    let begun = Instant::now();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let left = patience.saturating_sub(begun.elapsed()).as_millis() as i32;
        let mut ready = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
        // SAFETY: the kernel reads and writes one pollfd where `ready` is.
        if unsafe { libc::poll(&raw mut ready, 1, left) } != 1 {
            return None;
        }
        match input.read(&mut piece).ok()? {
            0 => return Some(bytes),
            count => bytes.extend_from_slice(&piece[..count]),
        }
        if bytes.len() > limit_bytes {
            return None;
        }
    }
}

/// Connects to a socket without waiting for who listens there.
///
/// # Errors
/// `EAGAIN`: it has not taken those that came before. `ECONNREFUSED`: nobody listens.
pub fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A descriptor that was let through an execve(2), and that nobody has claimed yet. It closes with
/// the next one.
///
/// # Errors
/// There is no such descriptor.
pub fn claim(number: u32) -> io::Result<OwnedFd> {
    let none = || io::Error::from_raw_os_error(libc::EBADF);
    let fd = i32::try_from(number).ok().filter(|fd| *fd > 2).ok_or_else(none)?;
    // SAFETY: the call touches no memory.
    let flags = nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(none());
    }
    // SAFETY: as above.
    nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open. All descriptors of this program close with an execve(2), and so does this
    // one from now on: nobody else has claimed it, and nobody will.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Standard input, in whose place /dev/null then is.
///
/// # Errors
/// There is none.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let own = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(own)
}

/// Sends a signal by its number: nix knows none without a name.
///
/// # Errors
/// There is no such process, or no such signal.
pub fn send_signal(pid: Pid, number: i32) -> nix::Result<()> {
    // SAFETY: kill(2) touches no memory of this process.
    nix::errno::Errno::result(unsafe { libc::kill(pid.as_raw(), number) }).map(drop)
}

/// Tells a terminal how large it is.
///
/// # Errors
/// It is none.
pub fn resize_terminal(terminal: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the kernel reads a winsize from where `size` is.
    let answer = unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) };
    Ok(nix::errno::Errno::result(answer).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (left, right) = UnixStream::pair().unwrap();
        assert!(receive_with_fds(&right).is_err(), "nothing has come");
        let null = std::fs::File::open("/dev/null").unwrap();
        send_with_fds(&left, b"two", &[null.as_fd(), null.as_fd()]).unwrap();
        let (text, fds) = receive_with_fds(&right).unwrap();
        assert_eq!((text.as_slice(), fds.len()), (b"two".as_slice(), 2));
        send_with_fds(&left, b"none", &[]).unwrap();
        assert_eq!(receive_with_fds(&right).unwrap().1.len(), 0);
    }
}
