//! Directories and files of a cgroup hierarchy, the same for both versions.

use crate::error::{Act, Result};
use nix::sys::statfs;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often a busy group is tried again, and after how long: processes that were killed need a
/// moment to leave.
const REMOVE_TRIES: u32 = 400;
const REMOVE_PAUSE: Duration = Duration::from_millis(5);

/// Whether `directory` belongs to a cgroup v2 file system.
pub fn is_v2(directory: &Path) -> bool {
    kind(directory) == Some(statfs::CGROUP2_SUPER_MAGIC)
}

/// Whether `directory` belongs to a cgroup file system of either version.
pub fn is_cgroup(directory: &Path) -> bool {
    matches!(kind(directory), Some(statfs::CGROUP_SUPER_MAGIC | statfs::CGROUP2_SUPER_MAGIC))
}

fn kind(directory: &Path) -> Option<statfs::FsType> {
    statfs::statfs(directory).ok().map(|found| found.filesystem_type())
}

/// Makes `directory` with its parents; returns the topmost one that was missing.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn make(directory: &Path) -> Result<Option<PathBuf>> {
    let act = || format!("make the cgroup {}", directory.display());
    // A neighbour that goes may take an empty parent with it between two of our steps.
    for _ in 0..3 {
        match make_once(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.act(act),
        }
    }
    make_once(directory).act(act)
}

fn make_once(directory: &Path) -> io::Result<Option<PathBuf>> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(Some(directory.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = directory.parent() else { return Err(error) };
            let first = make_once(parent)?;
            match make_once(directory)? {
                made @ Some(_) => Ok(first.or(made)),
                None => Ok(first),
            }
        }
        Err(error) => Err(error),
    }
}

/// Writes `value` to `file` of a group in one write, as the kernel wants it.
///
/// # Errors
/// Those of open(2) and write(2).
pub fn write(file: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes())
}

/// The PIDs in `directory` and below.
///
/// # Errors
/// [`crate::error::Error::Os`]; a group that vanished has none.
pub fn processes(directory: &Path) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    collect(directory, &mut found)
        .act(|| format!("list the processes of cgroup {}", directory.display()))?;
    Ok(found)
}

fn collect(directory: &Path, found: &mut Vec<i32>) -> io::Result<()> {
    let text = match fs::read_to_string(directory.join("cgroup.procs")) {
        Ok(text) => text,
        Err(error) if gone(&error) => return Ok(()),
        // A threaded group lists no processes; its domain above does.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => String::new(),
        Err(error) => return Err(error),
    };
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for child in children(directory)? {
        collect(&child, found)?;
    }
    Ok(())
}

/// Whether `error` says that a group has been removed meanwhile.
pub fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// The groups right below `directory`; of one that has been removed, none.
///
/// # Errors
/// Those of readdir(3).
pub fn children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes `directory` with its sub-groups, then the parents made for it, up to `first_made`, as
/// far as nobody else uses them.
///
/// # Errors
/// [`crate::error::Error::Os`]: the group stays busy. A group that was there before
/// (`first_made` is `None`) may stay busy: it is not ours alone.
pub fn remove(directory: &Path, first_made: Option<&Path>) -> Result<()> {
    if let Err(error) = remove_tree(directory, REMOVE_TRIES) {
        if first_made.is_none() && error.raw_os_error() == Some(libc::EBUSY) {
            return Ok(());
        }
        return Err(error).act(|| format!("remove the cgroup {}", directory.display()));
    }
    let Some(first) = first_made else { return Ok(()) };
    for parent in directory.ancestors().skip(1).take_while(|parent| parent.starts_with(first)) {
        if fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(())
}

fn remove_tree(directory: &Path, tries: u32) -> io::Result<()> {
    for left in (0..tries).rev() {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if gone(&error) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && left > 0 => {}
            Err(error) => return Err(error),
        }
        for child in children(directory)? {
            remove_tree(&child, left)?;
        }
        if left + 1 < tries {
            sleep(REMOVE_PAUSE);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_made_for_a_group_go_with_it() {
        let top = tempfile::tempdir().unwrap();
        let leaf = top.path().join("a/b/c");
        let first = make(&leaf).unwrap();
        assert_eq!(first.as_deref(), Some(top.path().join("a").as_path()));
        assert_eq!(make(&leaf).unwrap(), None);
        remove(&leaf, first.as_deref()).unwrap();
        assert!(!top.path().join("a").exists());
        remove(&leaf, first.as_deref()).unwrap();
    }

    #[test]
    fn parents_in_use_stay() {
        let top = tempfile::tempdir().unwrap();
        let first = make(&top.path().join("a/b")).unwrap();
        make(&top.path().join("a/other")).unwrap();
        remove(&top.path().join("a/b"), first.as_deref()).unwrap();
        assert!(top.path().join("a/other").is_dir());
    }

    #[test]
    fn processes_of_sub_groups_count() {
        let top = tempfile::tempdir().unwrap();
        make(&top.path().join("sub")).unwrap();
        fs::write(top.path().join("cgroup.procs"), "12\n0\n").unwrap();
        fs::write(top.path().join("sub/cgroup.procs"), "13\n").unwrap();
        assert_eq!(processes(top.path()).unwrap(), [12, 13]);
        assert_eq!(processes(&top.path().join("absent")).unwrap(), [0_i32; 0]);
    }
}
