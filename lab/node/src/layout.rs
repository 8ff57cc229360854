//! Where a node keeps its files, on the host and inside.

use std::path::PathBuf;

/// State on the host's disk, a directory per node. It cannot be on an overlay.
const STATE_ROOT: &str = "/var/lib/wamr-lab/nodes";
/// What lives as long as a node: its record and the admin's kubeconfig.
const RUN_ROOT: &str = "/run/wamr-lab";
/// Logs of nodes that did not come up, one directory per name, replaced by the next failure.
const FAILED_LOG_ROOT: &str = "/var/log/wamr-lab";

/// Configuration inside the node.
pub const CONFIG_DIR: &str = "/etc/wamr-lab";
/// Keys and certificates inside the node.
pub const PKI_DIR: &str = "/etc/wamr-lab/pki";
/// The daemons' logs inside the node.
pub const LOG_DIR: &str = "/var/log/wamr-lab";
/// Admin's kubeconfig inside the node.
pub const ADMIN_KUBECONFIG: &str = "/etc/wamr-lab/admin.kubeconfig";
/// containerd's socket inside the node.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// containerd's debugging interface inside the node.
pub const DEBUG_SOCKET: &str = "/run/containerd/debug.sock";
/// Where `dist:` programs are installed inside the node.
pub const PROGRAM_DIR: &str = "/usr/local/bin";
/// Search path of everything that runs inside.
pub const PATH: &str = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin";

/// Directories of the node that need a real file system below: containerd's snapshots are overlays
/// themselves, and the kubelet and etcd should not pay for copying up.
pub const STATE_DIRS: [(&str, &str); 4] = [
    ("containerd", "/var/lib/containerd"),
    ("kubelet", "/var/lib/kubelet"),
    ("etcd", "/var/lib/etcd"),
    ("log", LOG_DIR),
];

/// Paths of one node on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    name: String,
}

impl Layout {
    /// Paths of the node `name`; the name is checked by the caller.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Names that have state or run directories, sorted.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = [STATE_ROOT, RUN_ROOT]
            .iter()
            .filter_map(|root| std::fs::read_dir(root).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The node's directory on disk.
    pub fn state(&self) -> PathBuf {
        PathBuf::from(STATE_ROOT).join(&self.name)
    }

    /// The node's directory in /run. Its existence is what reserves the name.
    pub fn run(&self) -> PathBuf {
        PathBuf::from(RUN_ROOT).join(&self.name)
    }

    /// The overlay's upper directory.
    pub fn upper(&self) -> PathBuf {
        self.state().join("upper")
    }

    /// The overlay's work directory.
    pub fn work(&self) -> PathBuf {
        self.state().join("work")
    }

    /// Where the node mounts its root, in its own mount namespace only.
    pub fn root(&self) -> PathBuf {
        self.state().join("root")
    }

    /// One of [`STATE_DIRS`].
    pub fn state_dir(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// The daemons' logs.
    pub fn log(&self) -> PathBuf {
        self.state_dir("log")
    }

    /// Where the logs go if the node does not come up.
    pub fn failed_log(&self) -> PathBuf {
        PathBuf::from(FAILED_LOG_ROOT).join(&self.name)
    }

    /// The admin's kubeconfig for the host's side.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run().join("admin.kubeconfig")
    }

    /// Who is bringing the node up; of interest until there is a record.
    pub fn owner(&self) -> PathBuf {
        self.run().join("owner.json")
    }

    /// The record of a running node.
    pub fn record(&self) -> PathBuf {
        self.run().join("node.json")
    }

    /// The record of a running virtual machine.
    pub fn vm_record(&self) -> PathBuf {
        self.run().join("vm.json")
    }

    /// The node's own files for a virtual machine, a tar archive.
    pub fn seed(&self) -> PathBuf {
        self.state().join("seed.tar")
    }

    /// The node's control group in every hierarchy, relative to the hierarchy's root.
    pub fn cgroup(&self) -> String {
        format!("wamr-lab-{}", self.name)
    }

    /// Directories above the node's own that are removed when they are empty.
    pub fn shared_parents() -> [PathBuf; 3] {
        [PathBuf::from(STATE_ROOT), PathBuf::from("/var/lib/wamr-lab"), PathBuf::from(RUN_ROOT)]
    }
}
