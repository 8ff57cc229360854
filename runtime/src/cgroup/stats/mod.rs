//! What a container uses, read from its groups, in the shape of runc's `events --stats`.
//!
//! Bytes, nanoseconds and counts, as runc has them. What a kernel does not count is left out; on
//! version 1 so is what only a shared group counts, because it is not the container's alone.
//!
//! The files are read by `wamr_cgroup_stats`. Source of the names: runc types/events.go.

mod v1;
mod v2;

use super::Cgroup;
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;
use wamr_cgroup_stats::{self as files, Counts};

/// Reads what the container in `cgroup` uses now: `data` of an event of type `stats`. What has just
/// vanished counts as nothing.
pub fn read(cgroup: &Cgroup) -> Value {
    match cgroup {
        Cgroup::V1(group) => v1::read(group),
        Cgroup::V2(group) => v2::read(&group.directory),
    }
}

/// The directory of a group; `None` where the container has none of its own.
type Group<'a> = Option<&'a Path>;

/// A file that cannot be read counts as one that is not there: the others are worth printing.
fn known<T>(group: Group, read: impl FnOnce(&Path) -> io::Result<Option<T>>) -> Option<T> {
    read(group?).ok().flatten()
}

fn number(group: Group, file: &str) -> u64 {
    known(group, |directory| files::number(directory, file)).unwrap_or(0)
}

fn counts(group: Group, file: &str) -> Counts {
    known(group, |directory| files::counts(directory, file)).unwrap_or_default()
}

/// `value` without the members that are null or an empty list.
fn counted(mut value: Value) -> Value {
    let is_empty = |member: &Value| member.is_null() || *member == json!([]);
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !is_empty(member));
    }
    value
}

/// memory.stat as it stands.
fn raw(stat: &Counts) -> Map<String, Value> {
    stat.iter().map(|(name, number)| (name.to_owned(), number.into())).collect()
}

/// Processes and threads; the limit 0 is none.
fn pids(group: Group) -> Value {
    let pids = known(group, files::pids);
    let limit = pids.and_then(|pids| pids.max).filter(|max| *max < u64::MAX);
    json!({"current": pids.map_or(0, |pids| pids.current), "limit": limit.unwrap_or(0)})
}

/// On which CPUs and memory nodes the container may run.
fn cpuset(group: Group, suffix: &str) -> Value {
    let list = |name| {
        let file = format!("cpuset.{name}{suffix}");
        known(group, |directory| files::list(directory, &file))
    };
    counted(json!({"cpus": list("cpus"), "mems": list("mems")}))
}

/// How long processes waited for a resource.
fn pressure(group: Group, file: &str) -> Option<Value> {
    let stalls = |of: files::Stalls| {
        let (avg10, avg60, avg300) = (of.avg10, of.avg60, of.avg300);
        json!({"avg10": avg10, "avg60": avg60, "avg300": avg300, "total": of.total_us})
    };
    let found = known(group, |directory| files::pressure(directory, file))?;
    Some(json!({"some": stalls(found.some), "full": stalls(found.full)}))
}

/// Huge pages by size; `read` reads those of the size that it is given.
fn hugetlb(group: Group, suffix: &str, read: impl Fn(&str) -> Value) -> Map<String, Value> {
    let sizes = known(group, |directory| files::huge_page_sizes(directory, suffix).map(Some));
    sizes.into_iter().flatten().map(|size| (size.clone(), read(&size))).collect()
}

/// Remote direct memory access: what is held and what may be, by device.
fn rdma(group: Group) -> Option<Value> {
    let entry = |of: files::RdmaDevice| {
        let (handles, objects) = (of.hca_handle, of.hca_object);
        json!({"device": of.device, "hca_handles": handles, "hca_objects": objects})
    };
    let entries = |file| {
        let devices = known(group, |directory| files::rdma(directory, file)).unwrap_or_default();
        devices.into_iter().map(entry).collect::<Vec<_>>()
    };
    let (current, limit) = (entries("rdma.current"), entries("rdma.max"));
    let some = !current.is_empty() || !limit.is_empty();
    some.then(|| json!({"current": current, "limit": limit}))
}

/// `stats`, where RDMA is counted, and what is never: the groups of resctrl count nothing that runc
/// prints without a request, and interfaces belong to a network namespace, not to a group.
fn complete(stats: Value, rdma: Option<Value>) -> Value {
    let mut stats = stats;
    stats["intel_rdt"] = json!({});
    stats["network_interfaces"] = Value::Null;
    if let Some(rdma) = rdma {
        stats["rdma"] = rdma;
    }
    stats
}
