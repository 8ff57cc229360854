//! Scheduling, I/O priority, memory policy and execution domain of a process.
#![allow(unsafe_code)]

use super::check;
use std::io;

/// What sched_setattr sets. Layout of the kernel's `struct sched_attr`, version 1.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// Size of this structure in bytes.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value, for `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// Static priority, for `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// Of `SCHED_DEADLINE`, in nanoseconds.
    pub runtime_ns: u64,
    /// Of `SCHED_DEADLINE`, in nanoseconds.
    pub deadline_ns: u64,
    /// Of `SCHED_DEADLINE`, in nanoseconds.
    pub period_ns: u64,
    /// Lowest utilization that the scheduler shall assume, of 1024.
    pub util_min: u32,
    /// Highest utilization that the scheduler shall assume, of 1024.
    pub util_max: u32,
}

/// Sets policy and parameters of this process.
///
/// # Errors
/// Those of sched_setattr(2); `EPERM`: CAP_SYS_NICE is missing.
pub fn sched_setattr(attr: &SchedAttr) -> io::Result<()> {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..*attr };
    // SAFETY: `attr` has the kernel's layout, says its own size and outlives the call.
    let status = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    check(status).map(drop)
}

/// Sets the I/O priority of this process: class and data as ioprio_set(2) packs them.
///
/// # Errors
/// Those of ioprio_set(2); `EPERM`: the class needs CAP_SYS_NICE or CAP_SYS_ADMIN.
pub fn ioprio_set(packed: u32) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, packed) }).map(drop)
}

/// Sets the NUMA policy of this process. `nodes`: bit n is node n.
///
/// # Errors
/// Those of set_mempolicy(2); `EINVAL`: no such node, or a mode this kernel does not know.
pub fn set_mempolicy(mode: u32, nodes: &[u64]) -> io::Result<()> {
    // One bit more than is there: the kernel takes the number as an exclusive bound plus one.
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the mask holds `bits - 1` bits, which is how many the kernel reads.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) }).map(drop)
}

/// Sets the execution domain of this process.
///
/// # Errors
/// Those of personality(2).
pub fn personality(domain: u64) -> io::Result<()> {
    // SAFETY: an integer only.
    check(unsafe { libc::personality(domain as libc::c_ulong) }.into()).map(drop)
}
