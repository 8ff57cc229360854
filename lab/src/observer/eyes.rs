//! One node's figures, read from its files by a process of the same machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_record::cell::{Evidence, PhaseName, Pod, ProcessMemory};
use wamr_record::sample::Reading;

use super::question::{Facts, Found, Logged, Memory};
use crate::attribution;
use crate::cell::start_stamp::{self, StartStamp, log_path};
use crate::evidence;
use crate::node_view::NodeView;
use crate::processes::open_in_root;
use crate::sample::cgroup::MemoryCgroup;
use crate::sample::meminfo::MeminfoFile;

/// The end of a daemon's log that is kept, and the begin of a container's.
const LOG_BYTES: u64 = 256 * 1024;

/// Where daemons of a node that the lab brought up write.
const LOG_DIR: &str = "/var/log/wamr-lab";

/// An open view of a node.
#[derive(Debug)]
pub struct Eyes {
    view: NodeView,
    meminfo: MeminfoFile,
    /// The control group of the whole node, if it can be found.
    whole: Option<MemoryCgroup>,
    /// The control group that the node sees as the root: pods' groups are named from there.
    root: Option<MemoryCgroup>,
}

/// Name and UID of a pod: what its log is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodName {
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
}

impl Eyes {
    /// Opens what is read once a second.
    ///
    /// # Errors
    /// The node's procfs cannot be read.
    pub fn open(
        view: NodeView,
        whole: Option<MemoryCgroup>,
        root: Option<MemoryCgroup>,
    ) -> Result<Self> {
        let meminfo = MeminfoFile::open(view.proc.root())
            .into_diagnostic()
            .wrap_err("open the node's /proc/meminfo")?;
        Ok(Self { view, meminfo, whole, root })
    }

    /// Those of a process inside the root of the host that is the node.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_host() -> Result<Self> {
        let view = NodeView::new(1, PathBuf::from("/proc"), PathBuf::from(LOG_DIR));
        // Not this process' own mounts: they are those of the pod it was started in.
        let mounts = fs::read_to_string("/proc/1/mounts").unwrap_or_default();
        let root = MemoryCgroup::find(&mounts, "");
        // The root group of version 2 has no figures; then the node has none.
        Self::open(view, root.clone(), root)
    }

    /// What the node is.
    ///
    /// # Errors
    /// As [`Facts::read`].
    pub fn facts(&self) -> Result<Facts> {
        Facts::read(&fs::read_to_string(self.view.proc.path(1, "mounts")).unwrap_or_default())
    }

    /// The node's memory at this moment.
    ///
    /// # Errors
    /// `/proc/meminfo` cannot be read. A control group that cannot be is left out.
    pub fn memory(&self) -> Result<Memory> {
        let meminfo = self.meminfo.read().into_diagnostic().wrap_err("read /proc/meminfo")?;
        let cgroup = self.whole.as_ref().and_then(|cgroup| cgroup.read().ok());
        Ok(Memory { meminfo, cgroup })
    }

    /// The control groups of pods; one that is gone is left out.
    pub fn pod_cgroups(&self, pods: &[Pod]) -> Vec<Reading> {
        let Some(root) = &self.root else { return Vec::new() };
        let reading = |pod: &Pod| root.read_pod(&pod.name, pod.cgroup.as_ref()?).ok();
        pods.iter().filter_map(reading).collect()
    }

    /// Every process of the node, as [`attribution::walk`].
    pub fn walk(&self, phase: PhaseName, pods: &[Pod]) -> Vec<ProcessMemory> {
        attribution::walk(&self.view, phase, pods)
    }

    /// What a removed cell must not leave behind, as [`attribution::pod_processes`].
    pub fn pod_processes(&self) -> BTreeMap<u32, String> {
        attribution::pod_processes(&self.view)
    }

    /// The first processes of containers, with their control groups; one that is gone is left out.
    pub fn containers(&self, ids: &[String]) -> BTreeMap<String, Found> {
        let found = |id: &String| {
            let pid = self.view.container_pid(id)?;
            Some((id.clone(), Found { pid, cgroup: self.view.cgroup(pid) }))
        };
        ids.iter().filter_map(found).collect()
    }

    /// The start stamps that are there, by pod.
    pub fn stamps(&self, pods: &[PodName]) -> BTreeMap<String, StartStamp> {
        let stamp = |pod: &PodName| {
            Some((pod.name.clone(), start_stamp::read(&self.view, &pod.name, &pod.uid)?))
        };
        pods.iter().filter_map(stamp).collect()
    }

    /// How long the work of pods took, by pod; of those that have said so.
    pub fn durations_ns(&self, pods: &[PodName]) -> BTreeMap<String, i64> {
        let duration = |pod: &PodName| {
            Some((pod.name.clone(), start_stamp::duration_ns(&self.view, &pod.name, &pod.uid)?))
        };
        pods.iter().filter_map(duration).collect()
    }

    /// The last lines of containers that ended, by pod.
    pub fn last_words(&self, pods: &[PodName]) -> BTreeMap<String, String> {
        let words = |pod: &PodName| {
            Some((pod.name.clone(), start_stamp::last_words(&self.view, &pod.name, &pod.uid)?))
        };
        pods.iter().filter_map(words).collect()
    }

    /// What really runs in `pods`, as [`evidence::collect`].
    ///
    /// # Errors
    /// A program cannot be read.
    pub fn evidence(
        &self,
        runtime: &RuntimeUnderTest,
        program: &str,
        pods: &[Pod],
    ) -> Result<Evidence> {
        evidence::collect(&self.view, runtime, program, pods)
    }

    /// The begin of a container's log; `None` without one.
    pub fn container_log(&self, pod: &PodName) -> Option<Vec<u8>> {
        let log = open_in_root(&self.view.root, &log_path(&pod.name, &pod.uid));
        log.and_then(|file| head(&file)).ok()
    }

    /// The ends of the logs of those of `daemons` that write one.
    pub fn daemon_logs(&self, daemons: &[String]) -> Vec<Logged> {
        let log = |daemon: &String| {
            let name = format!("{daemon}.log");
            let text = tail(&self.view.log_dir.join(&name)).ok()?;
            Some(Logged { name, text })
        };
        daemons.iter().filter_map(log).collect()
    }
}

/// Writes dirty pages back and drops clean ones of this machine.
///
/// # Errors
/// The kernel refuses.
///
/// Source: Documentation/admin-guide/sysctl/vm.rst, drop_caches.
pub fn drop_caches() -> Result<()> {
    nix::unistd::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
        .into_diagnostic()
        .wrap_err("write 3 to /proc/sys/vm/drop_caches (caches = \"warm\" does without)")
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last [`LOG_BYTES`] of a file.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    head(&file)
}

#[test]
fn the_tail_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let mut text = vec![b'a'; LOG_BYTES as usize];
    text.extend(b"end");
    fs::write(&path, &text).unwrap();
    let kept = tail(&path).unwrap();
    assert_eq!(kept.len() as u64, LOG_BYTES);
    assert!(kept.ends_with(b"aend"));
    fs::write(&path, "short").unwrap();
    assert_eq!(tail(&path).unwrap(), b"short");
}
