//! Control group statistics: the files of a group, read into plain structs. The runtime prints them
//! as `events --stats`, the shim sends them as Task.Stats.
//!
//! Each function reads one file, or a few that belong together, of the group in a directory that
//! the caller knows: nothing is searched and nothing is written. `v1` and `v2` have the forms that
//! only one version has; most files are lines of names and numbers, [`Counts`]. A file that the
//! kernel does not offer is `None`, and so is one whose group has just been removed; any other
//! failure is an error that names the file.
//!
//! No dependencies: the shim stays resident.
//!
//! Source: the kernel's cgroup-v1/, cgroup-v2.rst and accounting/psi.rst.

mod file;
mod form;
pub mod v1;
pub mod v2;

pub use file::{counts, number, text};
pub use form::{Counts, Pressure, RdmaDevice, Stalls};

use std::fs;
use std::io;
use std::path::Path;

/// pids.current and pids.max, the same in both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pids {
    /// Processes and threads.
    pub current: u64,
    /// How many there may be; 2^64-1: no limit.
    pub max: Option<u64>,
}

/// How many processes and threads there are; `None` without pids.current.
///
/// # Errors
/// Those of [`text`].
pub fn pids(directory: &Path) -> io::Result<Option<Pids>> {
    let Some(current) = number(directory, "pids.current")? else { return Ok(None) };
    Ok(Some(Pids { current, max: number(directory, "pids.max")? }))
}

/// A file with a list of CPUs or memory nodes: `cpuset.cpus` and its like.
///
/// # Errors
/// Those of [`text`].
pub fn list(directory: &Path, file: &str) -> io::Result<Option<Vec<u32>>> {
    Ok(text(directory, file)?.as_deref().map(form::list))
}

/// Pressure stall information: `cpu.pressure` and its like.
///
/// # Errors
/// Those of [`text`].
pub fn pressure(directory: &Path, file: &str) -> io::Result<Option<Pressure>> {
    Ok(text(directory, file)?.as_deref().and_then(form::pressure))
}

/// `rdma.current` or `rdma.max`, the same in both versions.
///
/// # Errors
/// Those of [`text`].
pub fn rdma(directory: &Path, file: &str) -> io::Result<Option<Vec<RdmaDevice>>> {
    Ok(text(directory, file)?.as_deref().map(form::rdma))
}

/// The sizes of huge pages (`2MB`) for which there is a file `hugetlb.SIZE.{suffix}`.
///
/// # Errors
/// Those of readdir(3).
pub fn huge_page_sizes(directory: &Path, suffix: &str) -> io::Result<Vec<String>> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        let size = file.to_str().and_then(|name| form::huge_page_size(name, suffix));
        sizes.extend(size.map(str::to_owned));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_of_both_versions() {
        for (current, max, want) in [
            (Some("3\n"), Some("64\n"), Some((3, Some(64)))),
            (Some("2\n"), Some("max\n"), Some((2, Some(u64::MAX)))),
            (Some("2\n"), Some("-1\n"), Some((2, None))),
            (Some("18446744073709551615\n"), None, Some((u64::MAX, None))),
            (Some("many\n"), Some("5\n"), None),
            (Some(""), Some("5\n"), None),
            (None, Some("5\n"), None),
        ] {
            let group = tempfile::tempdir().unwrap();
            for (file, text) in [("pids.current", current), ("pids.max", max)] {
                if let Some(text) = text {
                    fs::write(group.path().join(file), text).unwrap();
                }
            }
            let want = want.map(|(current, max)| Pids { current, max });
            assert_eq!(pids(group.path()).unwrap(), want, "{current:?} of {max:?}");
        }
    }

    #[test]
    fn sizes_of_huge_pages() {
        let group = tempfile::tempdir().unwrap();
        for name in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.current", "memory.max"]
        {
            fs::write(group.path().join(name), "").unwrap();
        }
        assert_eq!(huge_page_sizes(group.path(), "max").unwrap(), ["2MB"]);
        assert!(huge_page_sizes(&group.path().join("gone"), "max").is_err());
    }
}
