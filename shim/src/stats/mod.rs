//! What a container's processes have used, as containerd asks for it with Task.Stats: a protobuf
//! message of containerd's cgroups module, version 1 or 2 as the host's control groups are.
//!
//! `groups` finds the directories, `wamr_cgroup_stats` reads the files there, `v1` and `v2` fill
//! the messages. `oom` decides whether containerd is told of an OOM event.

/// A message whose fields have the names of lines in a file; `; ...` are the other fields.
macro_rules! by_name {
    ($counts:ident, $message:ident { $($name:ident),* ; $($rest:tt)* }) => {
        $message { $($name: $counts.or_zero(stringify!($name)),)* $($rest)* }
    };
}

mod groups;
pub mod oom;
mod v1;
mod v2;

pub use groups::Groups;

use groups::Place;
use std::io;

/// The content of a google.protobuf.Any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Which message it is.
    pub type_url: &'static str,
    /// The message.
    pub value: Vec<u8>,
}

/// Reads what the processes in `groups` have used.
///
/// What the kernel does not count there is left out.
///
/// # Errors
/// [`io::ErrorKind::NotFound`]: a group is gone; others: a file that is there cannot be read.
pub fn metrics(groups: &Groups) -> io::Result<Metrics> {
    let (type_url, value) = match groups.place() {
        Place::V1(directories) => ("io.containerd.cgroups.v1.Metrics", v1::read(directories)?),
        Place::V2(directory) => ("io.containerd.cgroups.v2.Metrics", v2::read(directory)?),
    };
    // Asked last: a group that went in between has given only a part.
    groups.check()?;
    Ok(Metrics { type_url, value })
}

/// The processes in `groups`, without those of groups below.
///
/// # Errors
/// The group is gone.
pub fn processes(groups: &Groups) -> io::Result<Vec<u32>> {
    let directory = match groups.place() {
        Place::V1(directories) => directories.all().next().ok_or(io::ErrorKind::NotFound)?,
        Place::V2(directory) => directory.to_path_buf(),
    };
    let text = std::fs::read_to_string(directory.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// A process 7 in the group `/pod/box` of a host with one hierarchy.
    pub fn v2_host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for directory in ["proc/7", "proc/self", "sys/pod/box"] {
            fs::create_dir_all(top.path().join(directory)).unwrap();
        }
        let at = top.path().join("sys");
        let mounts = format!("30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", at.display());
        fs::write(top.path().join("proc/self/mountinfo"), mounts).unwrap();
        fs::write(top.path().join("proc/7/cgroup"), "0::/pod/box\n").unwrap();
        for (file, text) in files {
            fs::write(at.join("pod/box").join(file), text).unwrap();
        }
        top
    }

    #[test]
    fn a_group_is_read_until_it_is_gone() {
        let host = v2_host(&[("cpu.stat", "usage_usec 5\n")]);
        let proc_root = host.path().join("proc");
        let groups = Groups::of_process(&proc_root, 7).unwrap();
        let got = metrics(&groups).unwrap();
        assert_eq!(got.type_url, "io.containerd.cgroups.v2.Metrics");
        // cpu (2), a message of 2 bytes: usage_usec (1) is 5.
        assert_eq!(got.value, [0x12, 2, 0x08, 5]);

        fs::remove_dir_all(host.path().join("sys/pod/box")).unwrap();
        let error = metrics(&groups).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("sys/pod/box"), "{error}");
        assert!(!oom::killed(&groups));
        let error = Groups::of_process(&proc_root, 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_missing_file() {
        let host = v2_host(&[]);
        // read(2) of a directory: EISDIR.
        fs::create_dir(host.path().join("sys/pod/box/io.stat")).unwrap();
        let groups = Groups::of_process(&host.path().join("proc"), 7).unwrap();
        let error = metrics(&groups).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("io.stat"), "{error}");
    }

    #[test]
    fn this_machine_counts_this_process() {
        let mounts = fs::read("/proc/self/mountinfo").unwrap();
        if !String::from_utf8_lossy(&mounts).contains(" - cgroup") {
            return wamr_testing::skip("cgroups-hidden");
        }
        let groups = Groups::of_process(Path::new("/proc"), std::process::id()).unwrap();
        let got = metrics(&groups).unwrap();
        let cpu_used = match groups.place() {
            Place::V1(_) => v1::tests::cpu_ns(&got.value),
            Place::V2(_) => v2::tests::cpu_usec(&got.value),
        };
        // None: no hierarchy that counts it holds this process.
        assert_ne!(cpu_used, Some(0));
        assert_eq!(got.type_url.contains("v1"), matches!(groups.place(), Place::V1(_)));
    }

    #[test]
    fn a_process_that_has_ended_is_not_taken_for_one_of_the_top_group() {
        let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        // The end of file comes from the end of the process, which is not reaped yet.
        let mut output = child.stdout.take().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        match Groups::of_process(Path::new("/proc"), child.id()) {
            Ok(groups) => assert!(matches!(groups.place(), Place::V2(_)), "{groups:?}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
        child.wait().unwrap();
    }
}
