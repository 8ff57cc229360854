//! The memory of control groups: that of the whole node, and those of pods. Other programs of the
//! machine are not in the node's, so it tells on a busy machine what `/proc/meminfo` cannot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wamr_record::sample::Reading;

/// What a group's files say, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figures {
    usage: u64,
    inactive_file: u64,
    anon: u64,
    file: u64,
    shmem: u64,
    kernel: u64,
}

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

    /// The group at `path` below this one.
    fn join(&self, path: &str) -> Self {
        let path = path.trim_start_matches('/');
        match self {
            Self::V1(dir) => Self::V1(dir.join(path)),
            Self::V2(dir) => Self::V2(dir.join(path)),
        }
    }

    /// Reads it as the group of the whole node.
    ///
    /// # Errors
    /// The group is gone; `InvalidData` if a number is missing.
    pub fn read(&self) -> io::Result<Reading> {
        let Figures { usage, anon, file, shmem, kernel, .. } = self.figures()?;
        Ok(Reading::NodeCgroup {
            usage_bytes: usage,
            anon_bytes: anon,
            file_bytes: file,
            shmem_bytes: shmem,
            kernel_bytes: kernel,
        })
    }

    /// Reads the group of a pod, below the group that the node sees as its root. `container` is
    /// the group of one of the pod's containers, as the node names it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_pod(&self, pod: &str, container: &str) -> io::Result<Reading> {
        let group = container.rsplit_once('/').map_or("", |(above, _)| above);
        let Figures { usage, inactive_file, anon, file, kernel, .. } =
            self.join(group).figures()?;
        Ok(Reading::PodCgroup {
            pod: pod.to_owned(),
            usage_bytes: usage,
            working_set_bytes: usage.saturating_sub(inactive_file),
            anon_bytes: anon,
            file_bytes: file,
            kernel_bytes: kernel,
        })
    }

    fn figures(&self) -> io::Result<Figures> {
        let number = |file: &str| {
            let path = self.dir().join(file);
            let text = fs::read_to_string(&path)?;
            text.trim().parse::<u64>().map_err(|_| invalid(&path.display().to_string()))
        };
        let stat = fs::read_to_string(self.dir().join("memory.stat"))?;
        let field = |name: &str| field(&stat, name).ok_or_else(|| invalid(name));
        Ok(match self {
            Self::V1(_) => Figures {
                usage: number("memory.usage_in_bytes")?,
                inactive_file: field("total_inactive_file")?,
                anon: field("total_rss")?,
                file: field("total_cache")?,
                shmem: field("total_shmem")?,
                kernel: number("memory.kmem.usage_in_bytes")?,
            },
            Self::V2(_) => Figures {
                usage: number("memory.current")?,
                inactive_file: field("inactive_file")?,
                anon: field("anon")?,
                file: field("file")?,
                shmem: field("shmem")?,
                kernel: field("kernel")?,
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
        write(
            "memory.stat",
            "cache 1\ntotal_cache 30\ntotal_shmem 3\ntotal_rss 40\ntotal_inactive_file 9\n",
        );
        let want = |usage_bytes, anon_bytes, (file_bytes, shmem_bytes), kernel_bytes| {
            Reading::NodeCgroup { usage_bytes, anon_bytes, file_bytes, shmem_bytes, kernel_bytes }
        };
        let v1 = MemoryCgroup::V1(dir.path().to_owned());
        assert_eq!(v1.read().unwrap(), want(100, 40, (30, 3), 7));
        write("memory.current", "200\n");
        write(
            "memory.stat",
            "anon 50\nfile 60\nshmem 4\ninactive_file 1\nkernel 8\nkernel_stack 2\n",
        );
        let v2 = MemoryCgroup::V2(dir.path().to_owned());
        assert_eq!(v2.read().unwrap(), want(200, 50, (60, 4), 8));
        assert_eq!(v1.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
        let root = MemoryCgroup::V2(dir.path().parent().unwrap().to_owned());
        let name = dir.path().file_name().unwrap().to_str().unwrap();
        let pod = root.read_pod("p", &format!("/{name}/container")).unwrap();
        let Reading::PodCgroup { working_set_bytes, anon_bytes, .. } = pod else { panic!() };
        assert_eq!((working_set_bytes, anon_bytes), (199, 50));
        fs::remove_file(dir.path().join("memory.current")).unwrap();
        assert_eq!(v2.read().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
