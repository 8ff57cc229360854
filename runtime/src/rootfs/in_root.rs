//! Opening and making paths inside a container's root, whatever its symlinks say.
//!
//! The kernel resolves every path with RESOLVE_IN_ROOT: an absolute symlink or `..` ends at the
//! container's root, a magic link of /proc is refused.

use crate::sys::fd::openat2;
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{Mode, mkdirat};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const RESOLVE: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
/// As many symlinks as the kernel follows.
const MAX_LINKS: u32 = 40;

/// The root directory of a container.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Takes the root's directory.
    pub fn new(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// Opens `path` inside the root; `flags` as for open(2).
    ///
    /// # Errors
    /// Those of openat2(2).
    pub fn open(&self, path: &Path, flags: i32) -> io::Result<OwnedFd> {
        openat2(self.as_fd(), relative(path), flags, 0, RESOLVE)
    }

    /// Refers to `path` without opening it for use (`O_PATH`).
    ///
    /// # Errors
    /// Those of openat2(2).
    pub fn refer(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, libc::O_PATH)
    }

    /// As [`Root::refer`], for a path in which no component may be a symlink: where a procfs or
    /// sysfs goes, a link would let the image choose another place for it.
    ///
    /// # Errors
    /// `ELOOP`: a symlink.
    pub fn refer_without_links(&self, path: &Path) -> io::Result<OwnedFd> {
        let resolve = RESOLVE | libc::RESOLVE_NO_SYMLINKS;
        openat2(self.as_fd(), relative(path), libc::O_PATH, 0, resolve)
    }

    /// Refers to the directory `path` and makes it, with its parents, where it is missing.
    ///
    /// # Errors
    /// Those of openat2(2) and mkdirat(2).
    pub fn make_directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        self.make_directory_within(path, mode, MAX_LINKS)
    }

    fn make_directory_within(&self, path: &Path, mode: u32, links: u32) -> io::Result<OwnedFd> {
        let opened = self.open(path, libc::O_PATH | libc::O_DIRECTORY);
        let Err(error) = opened else { return opened };
        if error.kind() != io::ErrorKind::NotFound || links == 0 {
            return Err(error);
        }
        let (parent, name) = split(path)?;
        let parent_fd = self.make_directory_within(parent, mode, links - 1)?;
        match mkdirat(&parent_fd, name, Mode::from_bits_truncate(mode)) {
            Ok(()) => self.open(path, libc::O_PATH | libc::O_DIRECTORY),
            Err(Errno::EEXIST) => {
                let target = target_of_dangling(&parent_fd, path)?;
                self.make_directory_within(&target, mode, links - 1)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Refers to the file `path`; makes it empty, with its parents, where it is missing.
    ///
    /// # Errors
    /// Those of openat2(2), mkdirat(2) and openat(2).
    pub fn make_file(&self, path: &Path) -> io::Result<OwnedFd> {
        self.make_file_within(path, MAX_LINKS)
    }

    fn make_file_within(&self, path: &Path, links: u32) -> io::Result<OwnedFd> {
        let opened = self.refer(path);
        let Err(error) = opened else { return opened };
        if error.kind() != io::ErrorKind::NotFound || links == 0 {
            return Err(error);
        }
        let (parent, name) = self.make_parent(path)?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match fcntl::openat(&parent, name, flags, Mode::from_bits_truncate(0o644)) {
            Ok(_) => self.refer(path),
            Err(Errno::EEXIST) => {
                self.make_file_within(&target_of_dangling(&parent, path)?, links - 1)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the parent directory of `path`; returns it with the last name.
    ///
    /// # Errors
    /// Those of [`Root::make_directory`].
    pub fn make_parent<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let (parent, name) = split(path)?;
        Ok((self.make_directory(parent, 0o755)?, name))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What gets made instead of `path`, whose name exists in `parent` and yet could not be opened: it
/// is a symlink to nowhere, and its target is taken inside the root.
fn target_of_dangling(parent: &OwnedFd, path: &Path) -> io::Result<PathBuf> {
    let (above, name) = split(path)?;
    let target = PathBuf::from(fcntl::readlinkat(parent, name)?);
    Ok(super::mounts::clean(&above.join(target)))
}

/// Whether `fd` refers to a directory.
///
/// # Errors
/// Those of fstat(2).
pub fn is_directory(fd: BorrowedFd) -> io::Result<bool> {
    let stat = nix::sys::stat::fstatat(fd, "", AtFlags::AT_EMPTY_PATH)?;
    Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// openat2 with RESOLVE_IN_ROOT takes absolute paths too, but an empty one only as `.`.
fn relative(path: &Path) -> &Path {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "no file name in the path");
    Ok((parent, path.file_name().ok_or_else(invalid)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        let file = fs::File::open(directory.path().join("root")).unwrap();
        (directory, Root::new(file.into()))
    }

    #[test]
    fn links_to_the_outside_end_inside() {
        let (directory, root) = root();
        let inside = directory.path().join("root");
        symlink("/", inside.join("absolute")).unwrap();
        symlink("../../../../..", inside.join("upwards")).unwrap();
        for link in ["/absolute", "/upwards"] {
            root.make_directory(&Path::new(link).join("made/here"), 0o755).unwrap();
            assert!(inside.join("made/here").is_dir(), "{link}");
            fs::remove_dir_all(inside.join("made")).unwrap();
        }
        assert!(!directory.path().join("made").exists());
    }

    #[test]
    fn a_dangling_link_gets_its_target_inside() {
        let (directory, root) = root();
        let inside = directory.path().join("root");
        symlink("/run/later", inside.join("var")).unwrap();
        root.make_directory(Path::new("/var/x"), 0o755).unwrap();
        assert!(inside.join("run/later/x").is_dir());
        symlink("/loop", inside.join("loop")).unwrap();
        assert!(root.make_directory(Path::new("/loop"), 0o755).is_err());
        assert!(root.make_file(Path::new("/loop")).is_err());
        symlink("../../../run/file", inside.join("link")).unwrap();
        root.make_file(Path::new("/link")).unwrap();
        assert!(inside.join("run/file").is_file() && !directory.path().join("run").exists());
    }

    #[test]
    fn files_are_made_once_and_never_truncated() {
        let (directory, root) = root();
        root.make_file(Path::new("/etc/new")).unwrap();
        let file = directory.path().join("root/etc/new");
        fs::write(&file, "kept").unwrap();
        root.make_file(Path::new("/etc/new")).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "kept");
    }
}
