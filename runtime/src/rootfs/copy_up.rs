//! `tmpcopyup`: fills a new tmpfs with what the image has at the same place.

use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchownat, symlinkat};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Copies everything below the directory `from` into `to`: files, directories, symlinks, devices,
/// with owner and mode. Symlinks are copied, never followed.
///
/// # Errors
/// The first failed call.
pub fn copy_tree(from: BorrowedFd, to: BorrowedFd) -> io::Result<()> {
    let mut source = Dir::openat(from, ".", DIRECTORY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in source.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    for (name, kind) in names {
        copy_entry(source.as_fd(), to, &name, kind)?;
    }
    Ok(())
}

fn copy_entry(from: BorrowedFd, to: BorrowedFd, name: &CStr, kind: Option<Type>) -> io::Result<()> {
    let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_bits_truncate(stat.st_mode);
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    match kind {
        Some(Type::Directory) => {
            mkdirat(to, name, mode)?;
            let inner_from = openat(from, name, DIRECTORY, Mode::empty())?;
            let inner_to = openat(to, name, DIRECTORY, Mode::empty())?;
            copy_tree(inner_from.as_fd(), inner_to.as_fd())?;
        }
        Some(Type::Symlink) => {
            let target = readlinkat(from, OsStr::from_bytes(name.to_bytes()))?;
            symlinkat(target.as_os_str(), to, name)?;
        }
        Some(Type::File) => {
            let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mut source = File::from(openat(from, name, flags, Mode::empty())?);
            let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY;
            let mut copy = File::from(openat(to, name, flags, mode)?);
            io::copy(&mut source, &mut copy)?;
        }
        _ => mknodat(to, name, SFlag::from_bits_truncate(stat.st_mode), mode, stat.st_rdev)?,
    }
    fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if kind != Some(Type::Symlink) {
        fchmodat(to, name, mode, FchmodatFlags::FollowSymlink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn files_directories_and_links_are_copied() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        fs::create_dir(from.path().join("d")).unwrap();
        fs::write(from.path().join("d/f"), "text").unwrap();
        fs::set_permissions(from.path().join("d/f"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("/nowhere", from.path().join("l")).unwrap();
        let open = |path: &std::path::Path| File::open(path).unwrap();
        copy_tree(open(from.path()).as_fd(), open(to.path()).as_fd()).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("d/f")).unwrap(), "text");
        let mode = fs::metadata(to.path().join("d/f")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_link(to.path().join("l")).unwrap().to_str(), Some("/nowhere"));
    }
}
