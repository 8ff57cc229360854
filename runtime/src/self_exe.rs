//! Keeps the runtime's own file out of the containers' reach (the class of CVE-2019-5736).
//!
//! Until its exec, a container's init runs this program, and an entrypoint may be a link to
//! /proc/self/exe: the container could then open the runtime's file on the host and write to it.
//! So the verbs that put a process into a container first run themselves again from a clone of
//! the mount that holds the file, detached and read-only: nobody can write through it, and
//! unlike a copy in memory it costs no page per container.

use crate::error::{Act, Result};
use crate::sys::mount::{self, MountAttr};
use crate::sys::process;
use nix::fcntl::AT_FDCWD;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const SELF: &str = "/proc/self/exe";
/// Set for the second run only; containers and hooks never see the runtime's environment.
const PATH_VARIABLE: &str = "_WAMR_CRUN_PATH";

/// Runs this program again from a file that cannot be written, unless it runs from one already.
///
/// # Errors
/// [`crate::error::Error::Os`]: neither a read-only mount nor a sealed copy could be made.
pub fn protect() -> Result<()> {
    if is_protected() {
        return Ok(());
    }
    let file = read_only(Path::new(SELF)).act(|| {
        "make a read-only view of the runtime's own file, which containers must not write"
            .to_owned()
    })?;
    let text = |text: OsString| CString::new(text.into_vec());
    let arguments: std::result::Result<Vec<_>, _> = std::env::args_os().map(text).collect();
    let arguments = arguments.map_err(io::Error::from).act(|| "read the arguments".to_owned())?;
    let installed = (OsString::from(PATH_VARIABLE), path().into_os_string());
    let environment: Vec<CString> = std::env::vars_os()
        .filter(|(name, _)| name != PATH_VARIABLE)
        .chain([installed])
        .filter_map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend_from_slice(value.as_bytes());
            CString::new(entry).ok()
        })
        .collect();
    let arguments: Vec<_> = arguments.iter().map(CString::as_c_str).collect();
    let environment: Vec<_> = environment.iter().map(CString::as_c_str).collect();
    let error = process::execveat(file.as_raw_fd(), c"", &arguments, &environment);
    Err(error).act(|| "run the runtime again from its read-only view".to_owned())
}

/// Where this program is installed. After [`protect`] the kernel no longer knows, because the
/// detached mount has no place: the first run leaves it in the environment.
pub fn path() -> PathBuf {
    let link = std::fs::read_link(SELF).unwrap_or_default();
    if link.parent().is_some_and(|parent| parent != Path::new("/")) {
        return link;
    }
    std::env::var_os(PATH_VARIABLE).map_or(link, PathBuf::from)
}

/// A file system that is read-only in this mount, or a sealed memfd (no link to it).
fn is_protected() -> bool {
    if statvfs(SELF).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)) {
        return true;
    }
    let Ok(file) = File::open(SELF) else { return false };
    let seals = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GET_SEALS);
    seals.is_ok_and(|seals| seals & libc::F_SEAL_WRITE != 0)
}

/// `program`, opened so that it can be executed but never written through the descriptor.
///
/// # Errors
/// Those of open_tree(2), and of memfd_create(2) where mounts are not permitted.
pub fn read_only(program: &Path) -> io::Result<OwnedFd> {
    let attr = MountAttr { set: 1, ..MountAttr::default() };
    let cloned = mount::clone_tree(AT_FDCWD, program, false).and_then(|tree| {
        mount::set_attributes(tree.as_fd(), &attr, false)?;
        Ok(tree)
    });
    match cloned {
        Err(error) if error.kind() != io::ErrorKind::NotFound => sealed_copy(program),
        other => other,
    }
}

fn sealed_copy(program: &Path) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut copy = File::from(memfd_create(c"wamr-crun", flags)?);
    io::copy(&mut File::open(program)?, &mut copy)?;
    copy.flush()?;
    let seals = nix::fcntl::SealFlag::all();
    nix::fcntl::fcntl(&copy, nix::fcntl::FcntlArg::F_ADD_SEALS(seals))?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        let copy = File::from(sealed_copy(Path::new("/bin/true")).unwrap());
        let error = (&copy).write(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        assert!(copy.set_len(0).is_err());
    }

    #[test]
    fn a_missing_program_is_said_to_be_missing() {
        let error = read_only(Path::new("/nowhere/program")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
