//! What a container uses, read from its groups, in the shape of runc's `events --stats`.
//!
//! Bytes, nanoseconds and counts, as runc has them. What a kernel does not count is left out; on
//! version 1 so is what only a shared group counts, because it is not the container's alone.
//!
//! Source: runc types/events.go for the names; kernel cgroup-v1/, cgroup-v2.rst for the files.

mod form;
mod v1;
mod v2;

use super::Cgroup;
use serde::Serialize;
use std::collections::BTreeMap;

/// `data` of an event of type `stats`.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// CPU time and its limits.
    pub cpu: Cpu,
    /// On which CPUs and memory nodes the container may run.
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Processes and threads.
    pub pids: Pids,
    /// Block devices.
    pub blkio: Blkio,
    /// Huge pages, by size.
    pub hugetlb: BTreeMap<String, HugePages>,
    /// Remote direct memory access: what is held and what may be, by device.
    #[serde(skip_serializing_if = "Rdma::is_empty")]
    pub rdma: Rdma,
    /// Always empty: the groups of resctrl count nothing that runc prints without a request.
    pub intel_rdt: BTreeMap<String, u64>,
    /// Always null: interfaces belong to a network namespace, not to a group.
    pub network_interfaces: Option<()>,
}

/// CPU.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Time used.
    pub usage: CpuUsage,
    /// Periods in which the quota was used up.
    pub throttling: Throttling,
    /// Stall times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// CPU time in nanoseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    /// In all.
    pub total: u64,
    /// By CPU; version 1 alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// Outside the kernel.
    pub user: u64,
}

/// Bandwidth control.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods so far.
    pub periods: u64,
    /// Periods in which the container had to wait.
    pub throttled_periods: u64,
    /// For how long, in nanoseconds.
    pub throttled_time: u64,
    /// Periods in which it went beyond the quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_periods: Option<u64>,
    /// By how much in all, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_time: Option<u64>,
}

/// Placement.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Cpuset {
    /// CPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u32>,
    /// Memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u32>,
}

/// Memory in bytes.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Page cache.
    pub cache: u64,
    /// All of it.
    pub usage: MemoryEntry,
    /// Version 1: memory with swap. Version 2: swap alone.
    pub swap: MemoryEntry,
    /// The kernel's objects.
    pub kernel: MemoryEntry,
    /// Socket buffers.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// memory.stat as it stands.
    pub raw: BTreeMap<String, u64>,
    /// Stall times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One kind of memory, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryEntry {
    /// The most it may be; 2^64-1: no limit (version 1 prints the kernel's largest number).
    pub limit: u64,
    /// What it is.
    pub usage: u64,
    /// The most it has been.
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pids {
    /// How many there are.
    pub current: u64,
    /// How many there may be; 0: no limit.
    pub limit: u64,
}

/// Block devices.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    /// Bytes moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Stall times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// A count of one device and kind of request.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// `Read`, `Write`, ...
    pub op: String,
    /// The count.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HugePages {
    /// In use.
    pub usage: u64,
    /// The most there were; version 1 alone.
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Remote direct memory access.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rdma {
    /// What is held.
    pub current: Vec<RdmaEntry>,
    /// What may be held.
    pub limit: Vec<RdmaEntry>,
}

impl Rdma {
    fn is_empty(&self) -> bool {
        self.current.is_empty() && self.limit.is_empty()
    }
}

/// One device; `None`: no limit.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct RdmaEntry {
    /// The device's name.
    pub device: String,
    /// Handles.
    pub hca_handles: Option<u32>,
    /// Objects.
    pub hca_objects: Option<u32>,
}

/// Pressure stall information: how long some, or all, processes waited for a resource.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// At least one waited.
    pub some: Stalls,
    /// All waited.
    pub full: Stalls,
}

/// Shares of the last seconds in percent, and the sum.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Stalls {
    /// Of 10 s.
    pub avg10: f64,
    /// Of 60 s.
    pub avg60: f64,
    /// Of 300 s.
    pub avg300: f64,
    /// In all, in microseconds.
    pub total: u64,
}

/// Reads what the container in `cgroup` uses now; what has just vanished counts as nothing.
pub fn read(cgroup: &Cgroup) -> Stats {
    match cgroup {
        Cgroup::V1(group) => v1::read(group),
        Cgroup::V2(group) => v2::read(&group.directory),
    }
}
