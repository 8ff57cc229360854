//! The processes of a node, read through its own procfs: their ids are the node's.
//!
//! A process may end between two reads; its readers then get `None` and pass it over.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// A procfs, as its mount point is seen from here.
#[derive(Debug, Clone)]
pub struct Proc(PathBuf);

impl Proc {
    /// The procfs at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self(root)
    }

    /// The mount point.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// All process ids, ascending.
    ///
    /// # Errors
    /// The procfs cannot be listed: the node is gone.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> = fs::read_dir(&self.0)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// A file of a process.
    pub fn path(&self, pid: u32, name: &str) -> PathBuf {
        self.0.join(pid.to_string()).join(name)
    }

    /// The text of a file of a process.
    pub fn text(&self, pid: u32, name: &str) -> Option<String> {
        let bytes = fs::read(self.path(pid, name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `/proc/PID/exe` as the kernel prints it; `None` for kernel threads, too.
    pub fn exe(&self, pid: u32) -> Option<String> {
        Some(fs::read_link(self.path(pid, "exe")).ok()?.to_string_lossy().into_owned())
    }

    /// What to call the program: the last component of `exe`, or `comm` where that has none.
    /// A program started from a detached mount has the path `/`.
    pub fn program_name(&self, pid: u32) -> Option<String> {
        let exe = self.exe(pid)?;
        match program_name_of(&exe) {
            "" => Some(self.text(pid, "comm")?.trim_end().to_owned()),
            name => Some(name.to_owned()),
        }
    }

    /// The cgroup that accounts the memory of the process, from the reader's point of view.
    pub fn memory_cgroup(&self, pid: u32) -> Option<String> {
        memory_cgroup_of(&self.text(pid, "cgroup")?).map(str::to_owned)
    }

    /// The process' arguments.
    pub fn arguments(&self, pid: u32) -> Option<Vec<String>> {
        let text = self.text(pid, "cmdline")?;
        Some(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Opens a file as the process itself would, inside its root: no link leads out of it.
    ///
    /// # Errors
    /// As openat2(2) fails; the process or the file may be gone.
    pub fn open_inside(&self, pid: u32, path: &str) -> io::Result<File> {
        open_in_root(&self.path(pid, "root"), path)
    }
}

/// Opens `path` below `root` with links resolved as if `root` were `/`.
///
/// # Errors
/// As openat2(2) fails.
///
/// Source: openat2(2), RESOLVE_IN_ROOT.
pub fn open_in_root(root: &Path, path: &str) -> io::Result<File> {
    let directory = File::open(root)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let file: OwnedFd = openat2(&directory, path, how)?;
    Ok(File::from(file))
}

/// The last component of a path that readlink(2) gave for `/proc/PID/exe`.
pub fn program_name_of(exe: &str) -> &str {
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    exe.rsplit('/').next().unwrap_or_default()
}

/// The path of the memory controller in `/proc/PID/cgroup`: the v1 line that names it, else v2's.
///
/// Source: cgroups(7), "/proc/pid/cgroup".
pub fn memory_cgroup_of(text: &str) -> Option<&str> {
    let mut unified = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if controllers.split(',').any(|controller| controller == "memory") {
            return Some(path);
        }
        if hierarchy == "0" {
            unified = Some(path);
        }
    }
    unified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_cgroup_is_v1s_line_or_v2s() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("v2", "0::/kubepods/podx/c\n", Some("/kubepods/podx/c")),
            ("v1", "8:pids:/p\n4:memory:/m:1\n0::/\n", Some("/m:1")),
            ("v1, joined", "4:hugetlb,memory:/m\n", Some("/m")),
            ("hybrid, v2 first", "0::/\n4:memory:/m\n", Some("/m")),
            ("v1 without it", "8:pids:/p\n", None),
            ("empty", "", None),
            ("broken", "nonsense\n", None),
        ];
        for (case, text, want) in table {
            assert_eq!(memory_cgroup_of(text), *want, "{case}");
        }
    }

    #[test]
    fn program_names() {
        for (exe, want) in [
            ("/usr/bin/crun", "crun"),
            ("/usr/bin/crun (deleted)", "crun"),
            ("/memfd:crun (deleted)", "memfd:crun"),
            ("/", ""),
        ] {
            assert_eq!(program_name_of(exe), want);
        }
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hostname"), "inside").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("../../../etc/passwd", root.path().join("out")).unwrap();
        let text = io::read_to_string(open_in_root(root.path(), "/link").unwrap()).unwrap();
        assert_eq!(text, "inside");
        let error = open_in_root(root.path(), "/out").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn this_process_is_found() {
        let proc = Proc::new("/proc".into());
        let own = std::process::id();
        assert!(proc.pids().unwrap().contains(&own));
        assert!(proc.program_name(own).unwrap().contains("wamr_lab"));
        assert!(proc.memory_cgroup(own).is_some());
        assert_eq!(proc.exe(u32::MAX), None);
    }
}
