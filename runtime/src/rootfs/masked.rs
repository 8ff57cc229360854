//! Paths that the container must not read (masked) or not write (read-only).
//!
//! A path that does not exist needs nothing. The cover of a masked file is the *host's*
//! /dev/null: the image's could be anything. All masked directories share one empty, read-only
//! tmpfs: a superblock each would cost kernel memory in every container.

use super::in_root::{Root, is_directory};
use crate::error::{Act, Result};
use crate::sys::mount::{self, MountAttr};
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::sys::stat::{self, Mode, SFlag};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const READ_ONLY: u64 = 1;
/// nosuid, nodev and noexec: an empty directory needs none of them.
const INERT: u64 = READ_ONLY | 2 | 4 | 8;

/// Covers each of `paths`.
///
/// # Errors
/// [`crate::error::Error::Os`] with the path.
pub fn mask(root: &Root, paths: &[String]) -> Result<()> {
    let mut covers = Covers::default();
    for path in paths {
        let Some(target) = existing(root, path)? else { continue };
        let directory = is_directory(target.as_fd()).act(|| format!("stat {path}"))?;
        let cover = if directory { covers.directory() } else { covers.file() }
            .act(|| format!("make a cover for the masked path {path}"))?;
        mount::move_mount(cover.as_fd(), target.as_fd()).act(|| format!("mask {path}"))?;
        if directory && covers.empty.is_none() {
            // Attached now, the first cover can be cloned for the next ones.
            covers.empty = Some(cover);
        }
    }
    Ok(())
}

/// Makes each of `paths` and all below it read-only.
///
/// # Errors
/// [`crate::error::Error::Os`] with the path.
pub fn make_read_only(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let Some(target) = existing(root, path)? else { continue };
        let act = || format!("make {path} read-only");
        let tree = mount::clone_tree(target.as_fd(), Path::new(""), true).act(act)?;
        let attr = MountAttr { set: READ_ONLY, ..MountAttr::default() };
        mount::set_attributes(tree.as_fd(), &attr, true).act(act)?;
        mount::move_mount(tree.as_fd(), target.as_fd()).act(act)?;
    }
    Ok(())
}

/// Refers to `path`, or `None` where it does not exist.
fn existing(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    match root.refer(Path::new(path)) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            Ok(None)
        }
        Err(error) => Err(error).act(|| format!("open {path} in the container")),
    }
}

#[derive(Default)]
struct Covers {
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

impl Covers {
    fn directory(&self) -> io::Result<OwnedFd> {
        if let Some(first) = &self.empty {
            return mount::clone_tree(first.as_fd(), Path::new(""), false);
        }
        let options = ["mode=755".to_owned(), "nr_inodes=1".to_owned()];
        let fs = super::apply::file_system("tmpfs", "masked", &options)?;
        mount::fs_mount(fs.as_fd(), INERT)
    }

    fn file(&mut self) -> io::Result<OwnedFd> {
        if self.null.is_none() {
            self.null = Some(host_null()?);
        }
        let null = self.null.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        mount::clone_tree(null, Path::new(""), false)
    }
}

fn host_null() -> io::Result<OwnedFd> {
    let null = open("/dev/null", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let found = stat::fstat(&null)?;
    let character = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits();
    if !character || found.st_rdev != stat::makedev(1, 3) {
        return Err(io::Error::other("the host's /dev/null is not the null device"));
    }
    Ok(null)
}
