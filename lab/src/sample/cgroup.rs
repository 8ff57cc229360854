//! The memory of the control group that holds the whole node. Other programs of the machine are
//! not in it, so it tells on a busy machine what `/proc/meminfo` cannot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wamr_record::sample::Reading;

/// A memory control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryCgroup {
    /// A directory of the v1 memory controller.
    V1(PathBuf),
    /// A directory of the unified hierarchy.
    V2(PathBuf),
}

impl MemoryCgroup {
    /// The group `name` below the root of the hierarchy that accounts memory; `None` without one.
    pub fn find(mounts: &str, name: &str) -> Option<Self> {
        let group = Self::below(mounts, name)?;
        group.dir().is_dir().then_some(group)
    }

    /// As [`Self::find`], but the directory need not be there. Pure.
    ///
    /// Source: proc_mounts(5).
    fn below(mounts: &str, name: &str) -> Option<Self> {
        let mut unified = None;
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, at, kind, options, ..] = fields.as_slice() else { continue };
            let path = || Path::new(at).join(name);
            if *kind == "cgroup" && options.split(',').any(|option| option == "memory") {
                return Some(Self::V1(path()));
            }
            if *kind == "cgroup2" && *at == "/sys/fs/cgroup" {
                unified = Some(Self::V2(path()));
            }
        }
        unified
    }

    fn dir(&self) -> &Path {
        match self {
            Self::V1(dir) | Self::V2(dir) => dir,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// The group is gone; `InvalidData` if a number is missing.
    pub fn read(&self) -> io::Result<Reading> {
        let number = |file: &str| {
            let path = self.dir().join(file);
            let text = fs::read_to_string(&path)?;
            text.trim().parse::<u64>().map_err(|_| invalid(&path.display().to_string()))
        };
        let stat = fs::read_to_string(self.dir().join("memory.stat"))?;
        let field = |name: &str| field(&stat, name).ok_or_else(|| invalid(name));
        Ok(match self {
            Self::V1(_) => Reading::NodeCgroup {
                usage_bytes: number("memory.usage_in_bytes")?,
                anon_bytes: field("total_rss")?,
                file_bytes: field("total_cache")?,
                kernel_bytes: number("memory.kmem.usage_in_bytes")?,
            },
            Self::V2(_) => Reading::NodeCgroup {
                usage_bytes: number("memory.current")?,
                anon_bytes: field("anon")?,
                file_bytes: field("file")?,
                kernel_bytes: field("kernel")?,
            },
        })
    }
}

/// A value of a flat keyed file like memory.stat.
///
/// Source: Documentation/admin-guide/cgroup-v2.rst, "Flat keyed".
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is missing or no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n";
    const V2: &str = "none /sys/fs/cgroup cgroup2 rw 0 0\n";
    const UNIFIED: &str = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn the_hierarchy_that_accounts_memory() {
        let find = |mounts: &[&str]| MemoryCgroup::below(&mounts.concat(), "wamr-lab-a");
        let v1 = MemoryCgroup::V1("/sys/fs/cgroup/memory/wamr-lab-a".into());
        let v2 = MemoryCgroup::V2("/sys/fs/cgroup/wamr-lab-a".into());
        assert_eq!(find(&[V1]), Some(v1.clone()));
        assert_eq!(find(&[UNIFIED, V1]), Some(v1));
        assert_eq!(find(&[V2]), Some(v2));
        assert_eq!(find(&[UNIFIED]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn both_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        write("memory.usage_in_bytes", "100\n");
        write("memory.kmem.usage_in_bytes", "7\n");
        write("memory.stat", "cache 1\nrss 2\ntotal_cache 30\ntotal_rss 40\n");
        let want = |usage_bytes, anon_bytes, file_bytes, kernel_bytes| Reading::NodeCgroup {
            usage_bytes,
            anon_bytes,
            file_bytes,
            kernel_bytes,
        };
        let v1 = MemoryCgroup::V1(dir.path().to_owned());
        assert_eq!(v1.read().unwrap(), want(100, 40, 30, 7));
        write("memory.current", "200\n");
        write("memory.stat", "anon 50\nfile 60\nfile_mapped 1\nkernel 8\nkernel_stack 2\n");
        let v2 = MemoryCgroup::V2(dir.path().to_owned());
        assert_eq!(v2.read().unwrap(), want(200, 50, 60, 8));
        assert_eq!(v1.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::remove_file(dir.path().join("memory.current")).unwrap();
        assert_eq!(v2.read().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
