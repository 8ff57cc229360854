//! How a guest's path becomes a file: the kernel walks it and stays below the preopened directory,
//! and what shows the kernel is neither reached nor walked through.
//!
//! With `RESOLVE_BENEATH` no link leads out, no absolute path, and no magic link of /proc is
//! followed at all. Nearly every walk stays in the mount that it begins in, which is no such file
//! system, and is one system call. Those that do not are looked at part by part.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use wamr_guest::sys::is_kernel_file;

use super::errno::{Errno, Result};

/// Longest path that the kernel takes.
const LONGEST: usize = 4096;

/// Opens `path` below `directory`.
pub fn open(directory: &OwnedFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    check(path)?;
    match walk(directory, path, flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_XDEV) {
        Err(rustix::io::Errno::XDEV) => {}
        other => return Ok(other?),
    }
    if passes_kernel_files(directory, path) {
        return Err(Errno::NOTCAPABLE);
    }
    let file = walk(directory, path, flags, mode, ResolveFlags::BENEATH)?;
    if is_kernel_file(file.as_raw_fd()) { Err(Errno::NOTCAPABLE) } else { Ok(file) }
}

/// Opens `path` for questions about it alone.
pub fn locate(directory: &OwnedFd, path: &[u8], follow: bool) -> Result<OwnedFd> {
    let last = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    open(directory, path, OFlags::PATH | last, Mode::empty())
}

/// The directory in which the last part of `path` lies, and that part: a name without slashes, so
/// that what is done with it happens in this directory.
pub fn parent<'a>(directory: &OwnedFd, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
    check(path)?;
    let (before, name) = split(path);
    if name.is_empty() {
        return Err(Errno::NOTCAPABLE);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    Ok((open(directory, before, flags, Mode::empty())?, name))
}

/// As [`parent`], with the slashes behind the name: the kernel follows no link there when it makes
/// or removes the name, but says that it must be a directory.
pub fn parent_of_slashed<'a>(directory: &OwnedFd, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
    let (parent, name) = parent(directory, path)?;
    let slashes = path.iter().rev().take_while(|byte| **byte == b'/').count();
    Ok((parent, &path[path.len() - slashes - name.len()..]))
}

fn check(path: &[u8]) -> Result<()> {
    match path {
        [] => Err(rustix::io::Errno::NOENT.into()),
        _ if path.contains(&0) => Err(Errno::INVAL),
        _ if path.len() >= LONGEST => Err(Errno::NAMETOOLONG),
        _ => Ok(()),
    }
}

fn walk(
    directory: &OwnedFd,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    limits: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    loop {
        match openat2(directory, path, flags | OFlags::CLOEXEC, mode, limits) {
            // A rename raced with the walk: the kernel asks to try again.
            Err(rustix::io::Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// Whether a part of `path` before the last lies on a file system of the kernel's.
fn passes_kernel_files(directory: &OwnedFd, path: &[u8]) -> bool {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut prefixes = slashes.map(|(at, _)| &path[..at]).filter(|prefix| !prefix.is_empty());
    prefixes.any(|prefix| {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        walk(directory, prefix, flags, Mode::empty(), ResolveFlags::BENEATH)
            .is_ok_and(|reached| is_kernel_file(reached.as_raw_fd()))
    })
}

/// What is before the last part of `path` (`.` if nothing is), and that part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path_end = &path[..end];
    match path_end.iter().rposition(|byte| *byte == b'/') {
        // The slash stays: an absolute path must not become a relative one.
        Some(slash) => (&path_end[..=slash], &path_end[slash + 1..]),
        None if path_end.is_empty() => (path, path_end),
        None => (b".", path_end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_split_off() {
        for (path, before, name) in [
            ("a", ".", "a"),
            ("a/b", "a/", "b"),
            ("a/b//", "a/", "b"),
            ("a//b", "a//", "b"),
            ("/a", "/", "a"),
            ("/", "/", ""),
            ("..", ".", ".."),
            ("a/..", "a/", ".."),
        ] {
            let got = split(path.as_bytes());
            assert_eq!(got, (before.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
