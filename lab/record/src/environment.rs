//! The machine and the node that a run was made on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::Program;

/// `environment.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// "model name" of /proc/cpuinfo; of several machines each one that differs.
    pub cpu_model: String,
    /// Processors online, of all machines.
    pub cpus: u32,
    /// MemTotal, of all machines.
    pub memory_bytes: u64,
    /// `native`, `vm` or `cluster`.
    pub provider: String,
    /// True if the processor was emulated; then no time of this run counts.
    pub emulated: bool,
    /// `v1`, `v2` or `hybrid`, as the node sees it.
    pub cgroup_mode: String,
    /// Hypervisor vendor from cpuid or DMI, if the machine is itself virtual.
    pub hypervisor: Option<String>,
    /// /sys/kernel/mm/transparent_hugepage/enabled, the chosen word.
    pub transparent_hugepages: String,
    /// `stock`, `unthrottled`, `as-is` for that of a cluster that was there before, or `none`: pods
    /// were made through containerd's CRI.
    pub control_plane: String,
    /// Component → version: kubernetes, containerd, etcd, runc, crun, wasmedge, python, …
    pub versions: BTreeMap<String, String>,
    /// Every program of the node's stack.
    pub programs: Vec<Program>,
    /// Workload image → digest of its manifest.
    pub images: BTreeMap<String, String>,
    /// The nodes that are measured together, by name; empty for a run on one node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, ClusterNode>,
}

/// One of several nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterNode {
    /// Its machine: nodes with the same one share a kernel and its memory.
    pub machine: String,
    /// True for a node that takes no pods of the run, and shares the machine of one that does.
    pub without_pods: bool,
    /// `uname -r`.
    pub kernel_release: String,
    /// "model name" of /proc/cpuinfo.
    pub cpu_model: String,
    /// Processors online on its machine.
    pub cpus: u32,
    /// MemTotal of its machine.
    pub memory_bytes: u64,
    /// `v1`, `v2` or `hybrid`, as the node sees it.
    pub cgroup_mode: String,
    /// The kubelet's version, by the node's object.
    pub kubelet: String,
    /// Container runtime and version, by the node's object.
    pub container_runtime: String,
}
