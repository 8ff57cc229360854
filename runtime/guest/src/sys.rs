//! System calls, a thin wrapper each.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::exit_code::ExitCode;

mod kernel;
mod pages;
mod waiting;

pub use kernel::{Found, find_below, is_kernel_file};
pub use pages::*;
pub use waiting::*;

/// The argument behind the program's name, from what the C library gives `main`.
///
/// # Safety
/// `arguments` points to `count` pointers to NUL-terminated strings that live as long as the
/// process.
pub unsafe fn first_argument(
    count: c_int,
    arguments: *const *const c_char,
) -> Option<&'static CStr> {
    // SAFETY: as the caller promises.
    (count > 1).then(|| unsafe { CStr::from_ptr(*arguments.add(1)) })
}

/// Ends the process without running anything more of it.
pub fn exit_now(code: ExitCode) -> ! {
    // SAFETY: never returns and touches no memory of this process; async-signal-safe.
    unsafe { libc::_exit(c_int::from(code.0)) }
}

fn check(status: c_int) -> io::Result<c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// What a mapped file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No writes.
    Read,
    /// Writes stay in this process.
    PrivateWrite,
}

/// A mapped file.
pub struct Mapping {
    start: *mut u8,
    size_bytes: usize,
}

impl Mapping {
    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable and of this size until it is dropped.
        unsafe { std::slice::from_raw_parts(self.start, self.size_bytes) }
    }

    /// The bytes of a mapping made with [`Access::PrivateWrite`], for as long as the process lives.
    pub fn leak(self) -> &'static mut [u8] {
        let mapping = std::mem::ManuallyDrop::new(self);
        // SAFETY: the mapping is never undone, and `self` was its only handle.
        unsafe { std::slice::from_raw_parts_mut(mapping.start, mapping.size_bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map_file_and_close`, and every borrow of it has ended.
        unsafe { libc::munmap(self.start.cast(), self.size_bytes) };
    }
}

/// Maps the whole file behind `fd` and closes `fd`, whether that worked or not.
///
/// # Errors
/// Those of fstat(2) and mmap(2); an empty file, or one that is no file.
pub fn map_file_and_close(fd: c_int, access: Access) -> io::Result<Mapping> {
    let mapping = map_file(fd, access);
    // SAFETY: takes no pointer; the descriptor was handed over to this process for this use.
    unsafe { libc::close(fd) };
    mapping
}

/// Takes over the descriptor that was handed to this process, close-on-exec from now on.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn take(fd: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open and was handed over for this use alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes over the standard stream `fd`, which stays open over an exec as it is.
///
/// # Errors
/// `EBADF`: it is not open.
pub fn take_stream(fd: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: the descriptor is open; after this nothing else of the process uses it but messages
    // at its end, which may fail.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn map_file(fd: c_int, access: Access) -> io::Result<Mapping> {
    // SAFETY: all zeros is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a valid place for the answer.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    let size_bytes = usize::try_from(stat.st_size).unwrap_or(0);
    if size_bytes == 0 {
        return Err(io::Error::other("it is empty, or no regular file"));
    }
    let protection = match access {
        Access::Read => libc::PROT_READ,
        Access::PrivateWrite => libc::PROT_READ | libc::PROT_WRITE,
    };
    let anywhere = std::ptr::null_mut();
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let address = unsafe { libc::mmap(anywhere, size_bytes, protection, libc::MAP_PRIVATE, fd, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Mapping { start: address.cast(), size_bytes })
}

/// Whether `fd` is open.
pub fn is_open(fd: c_int) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Opens /dev/null as `fd`, which is closed.
///
/// # Errors
/// Those of open(2).
pub fn open_null(fd: c_int) -> io::Result<()> {
    // SAFETY: the path is a NUL-terminated literal.
    let null = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
    move_fd(null, fd)
}

/// Opens one end of a pipe as `fd`, which is closed, and closes the other: the reading end for
/// standard input, else the writing end.
///
/// # Errors
/// Those of pipe(2).
pub fn open_dead_pipe(fd: c_int) -> io::Result<()> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    let [read, write] = ends;
    let (kept, closed) = if fd == 0 { (read, write) } else { (write, read) };
    // The end to close may sit on `fd` itself.
    if closed == fd {
        // SAFETY: takes no pointer; both descriptors are open and this function's own.
        check(unsafe { libc::dup2(kept, fd) })?;
        // SAFETY: as above.
        check(unsafe { libc::close(kept) })?;
        return Ok(());
    }
    // SAFETY: takes no pointer; the descriptor is this function's own.
    check(unsafe { libc::close(closed) })?;
    move_fd(kept, fd)
}

fn move_fd(from: c_int, to: c_int) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    // SAFETY: takes no pointer; `from` was opened by the caller.
    check(unsafe { libc::dup2(from, to) })?;
    // SAFETY: as above.
    check(unsafe { libc::close(from) })?;
    Ok(())
}

/// Whether the directory opens, as WAMR will open it.
///
/// # Errors
/// Those of open(2); `EACCES`: it shows the kernel.
pub fn open_directory_and_close(path: &CStr) -> io::Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `path` is NUL-terminated.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags) })?;
    let kernel = is_kernel_file(fd);
    // SAFETY: takes no pointer; the descriptor was opened above.
    unsafe { libc::close(fd) };
    if kernel { Err(io::Error::from_raw_os_error(libc::EACCES)) } else { Ok(()) }
}

/// Writes to standard error as much as it takes.
pub fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of `bytes`.
        let written = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) if count > 0 => bytes = bytes.get(count..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Calls `handler`, which must be async-signal-safe, on `signal`.
pub fn on_signal(signal: c_int, handler: extern "C" fn(c_int)) {
    set_action(signal, handler as *const () as libc::sighandler_t);
}

/// Drops `signal`.
pub fn ignore_signal(signal: c_int) {
    set_action(signal, libc::SIG_IGN);
}

fn set_action(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: all zeros is a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is complete. It fails only for numbers that are no signal.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

/// Takes `signals` out of the mask that the process was started with.
pub fn unblock_signals(signals: &[c_int]) {
    // SAFETY: all zeros is a valid set, which sigemptyset initialises; the calls write only it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Sets the name of /proc/self/comm; the kernel keeps 15 bytes.
pub fn set_process_name(name: &CStr) {
    // SAFETY: `name` is NUL-terminated and the kernel copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}
