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
    /// "model name" of /proc/cpuinfo.
    pub cpu_model: String,
    /// Processors online.
    pub cpus: u32,
    /// MemTotal.
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
    /// `stock`, `unthrottled`, or `none`: pods were made through containerd's CRI.
    pub control_plane: String,
    /// Component → version: kubernetes, containerd, etcd, runc, crun, wasmedge, python, …
    pub versions: BTreeMap<String, String>,
    /// Every program of the node's stack.
    pub programs: Vec<Program>,
    /// Workload image → digest of its manifest.
    pub images: BTreeMap<String, String>,
}
