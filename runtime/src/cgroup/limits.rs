//! `linux.resources` as writes to cgroup files. Pure: `v1.rs` and `v2.rs` perform them.
//!
//! A 0 that Kubernetes sends for "not set" is not set; -1 lifts a limit.
//!
//! Source: runtime-spec config-linux.md "Control groups"; kernel cgroup-v1/, cgroup-v2.rst.

use crate::error::{Error, Result};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The controller that has the file.
    pub controller: String,
    /// The file's name.
    pub file: String,
    /// What is written.
    pub value: String,
    /// What to do on a kernel without `file`.
    pub absent: Absent,
}

/// What a write does where its file does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// Fail: the limit would not be in force.
    Fail,
    /// Nothing: the kernel without the file behaves as if it had been written.
    Skip,
    /// Write this value to this file instead.
    Instead(&'static str, String),
}

fn put(writes: &mut Vec<Write>, file: &str, value: Option<impl ToString>) {
    put_or(writes, file, value, |_| Absent::Fail);
}

fn put_or(
    writes: &mut Vec<Write>,
    file: &str,
    value: Option<impl ToString>,
    absent: impl FnOnce(&str) -> Absent,
) {
    let Some(value) = value.map(|value| value.to_string()) else { return };
    let controller = file.split('.').next().unwrap_or(file).to_owned();
    let absent = absent(&value);
    writes.push(Write { controller, file: file.to_owned(), value, absent });
}

fn refuse(field: &str, reason: &str) -> Error {
    Error::config(format!("linux.resources.{field}"), reason)
}

fn nonzero<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

/// The two limits of `linux.resources.memory` after the checks that both versions share.
fn memory_limits(memory: &LinuxMemory) -> Result<(Option<i64>, Option<i64>)> {
    let (limit, swap) = (nonzero(memory.limit()), nonzero(memory.swap()));
    match (limit, swap) {
        (Some(limit), _) if limit < -1 => Err(refuse("memory.limit", "below -1")),
        (_, Some(swap)) if swap < -1 => Err(refuse("memory.swap", "below -1")),
        (None, Some(swap)) if swap > 0 => Err(refuse("memory.swap", "needs memory.limit")),
        (Some(limit), Some(swap)) if swap != -1 && swap < limit => {
            Err(refuse("memory.swap", "below memory.limit, which it includes"))
        }
        // Unlimited memory with limited swap has no meaning in the kernel.
        (Some(-1), None) => Ok((limit, Some(-1))),
        both => Ok(both),
    }
}

fn pids_max(resources: &LinuxResources) -> Option<String> {
    let limit = nonzero(resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit))?;
    Some(if limit < 0 { "max".to_owned() } else { limit.to_string() })
}

fn throttles(devices: Option<&Vec<LinuxThrottleDevice>>) -> impl Iterator<Item = (String, u64)> {
    let devices = devices.into_iter().flatten();
    devices.map(|device| (format!("{}:{}", device.major(), device.minor()), device.rate()))
}

/// The deprecated limits that are set, each with the reason why it is passed over.
#[allow(deprecated)] // named here only to say that it does nothing
pub fn passed_over(resources: &LinuxResources) -> Vec<&'static str> {
    let memory = resources.memory().unwrap_or_default();
    let set = |value: Option<i64>| value.is_some_and(|value| value != 0 && value != -1);
    let mut texts = Vec::new();
    if set(memory.kernel()) {
        texts.push("linux.resources.memory.kernel is deprecated: Linux has no such limit any more");
    }
    if set(memory.kernel_tcp()) {
        texts.push(
            "linux.resources.memory.kernelTCP is deprecated and passed over: memory.limit \
             counts socket buffers",
        );
    }
    if memory.use_hierarchy() == Some(false) {
        texts.push(
            "linux.resources.memory.useHierarchy is passed over: Linux counts sub-groups \
             always",
        );
    }
    texts
}

/// The writes for cgroup v1, in the order they must happen.
///
/// # Errors
/// [`Error::Config`]: a value that makes no sense, or one that only v2 has.
pub fn v1(resources: &LinuxResources) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    let out = &mut writes;
    if let Some(memory) = resources.memory() {
        let (limit, swap) = memory_limits(memory)?;
        put(out, "memory.limit_in_bytes", limit);
        // Without the accounting of swap there is no limit of it that could be lifted.
        let unlimited = |value: &str| if value == "-1" { Absent::Skip } else { Absent::Fail };
        put_or(out, "memory.memsw.limit_in_bytes", swap, unlimited);
        put(out, "memory.soft_limit_in_bytes", nonzero(memory.reservation()));
        put(out, "memory.swappiness", memory.swappiness());
        put(out, "memory.oom_control", memory.disable_oom_killer().map(u8::from));
    }
    if let Some(cpu) = resources.cpu() {
        // The kernel refuses shares for an idle group.
        if cpu.idle() != Some(1) {
            put(out, "cpu.shares", nonzero(cpu.shares()));
        }
        put(out, "cpu.cfs_period_us", nonzero(cpu.period()));
        put(out, "cpu.cfs_quota_us", nonzero(cpu.quota()));
        put(out, "cpu.cfs_burst_us", cpu.burst());
        put(out, "cpu.idle", cpu.idle());
        put(out, "cpu.rt_period_us", nonzero(cpu.realtime_period()));
        put(out, "cpu.rt_runtime_us", nonzero(cpu.realtime_runtime()));
        cpuset(out, cpu);
    }
    put(out, "pids.max", pids_max(resources));
    if let Some(io) = resources.block_io() {
        block_io_v1(out, io)?;
    }
    huge_pages(out, resources, "limit_in_bytes")?;
    if let Some(network) = resources.network() {
        put(out, "net_cls.classid", network.class_id());
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            put(out, "net_prio.ifpriomap", Some(value));
        }
    }
    rdma(out, resources);
    if resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        return Err(refuse("unified", "needs cgroup v2, and this host has version 1"));
    }
    Ok(writes)
}

fn cpuset(out: &mut Vec<Write>, cpu: &LinuxCpu) {
    put(out, "cpuset.cpus", cpu.cpus().as_ref().filter(|text| !text.is_empty()));
    put(out, "cpuset.mems", cpu.mems().as_ref().filter(|text| !text.is_empty()));
}

/// Limits what is used and what is reserved; kernels before 5.7 know no reservations.
fn huge_pages(out: &mut Vec<Write>, resources: &LinuxResources, suffix: &str) -> Result<()> {
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = limit.page_size();
        let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
        if !number.is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        {
            let reason = format!("{size:?} is no size of a huge page: write it as 64KB, 2MB, 1GB");
            return Err(refuse("hugepageLimits.pageSize", &reason));
        }
        put(out, &format!("hugetlb.{size}.{suffix}"), Some(limit.limit()));
        let reserved = format!("hugetlb.{size}.rsvd.{suffix}");
        put_or(out, &reserved, Some(limit.limit()), |_| Absent::Skip);
    }
    Ok(())
}

fn rdma(out: &mut Vec<Write>, resources: &LinuxResources) {
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| name.as_str());
    for (name, limit) in devices {
        let numbers = [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())];
        let mut words = vec![name.clone()];
        for (key, number) in numbers {
            words.extend(number.map(|number| format!("{key}={number}")));
        }
        put(out, "rdma.max", Some(words.join(" ")));
    }
}

fn block_io_v1(out: &mut Vec<Write>, io: &LinuxBlockIo) -> Result<()> {
    put_or(out, "blkio.weight", nonzero(io.weight()), |weight| {
        Absent::Instead("blkio.bfq.weight", weight.to_owned())
    });
    if io.leaf_weight().is_some_and(|weight| weight != 0) {
        return Err(refuse("blockIO.leafWeight", "no longer known to the kernel"));
    }
    for device in io.weight_device().iter().flatten() {
        let weight = device.weight().unwrap_or_default();
        let value = format!("{}:{} {weight}", device.major(), device.minor());
        put_or(out, "blkio.weight_device", Some(value), |value| {
            Absent::Instead("blkio.bfq.weight_device", value.to_owned())
        });
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", io.throttle_write_iops_device()),
    ] {
        for (device, rate) in throttles(devices.as_ref()) {
            put(out, file, Some(format!("{device} {rate}")));
        }
    }
    Ok(())
}

/// The writes for cgroup v2, in the order they must happen.
///
/// # Errors
/// [`Error::Config`]: a value that makes no sense, or one that only v1 has.
pub fn v2(resources: &LinuxResources) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    let out = &mut writes;
    if let Some(memory) = resources.memory() {
        memory_v2(out, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_v2(out, cpu)?;
    }
    put(out, "pids.max", pids_max(resources));
    if let Some(io) = resources.block_io() {
        block_io_v2(out, io)?;
    }
    huge_pages(out, resources, "max")?;
    rdma(out, resources);
    let network = resources.network().as_ref();
    if network.is_some_and(|network| {
        network.class_id().is_some() || network.priorities().iter().flatten().next().is_some()
    }) {
        return Err(refuse("network", "needs cgroup v1, and this host has version 2"));
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        if file.contains('/') || !file.contains('.') {
            return Err(refuse("unified", &format!("{file:?} is no file of a cgroup")));
        }
        if matches!(file.as_str(), "cgroup.procs" | "cgroup.threads" | "cgroup.kill") {
            return Err(refuse("unified", &format!("{file:?} acts on processes: it is no limit")));
        }
        // The kernel takes one line a write, for a device each for example.
        value.lines().for_each(|line| put(out, file, Some(line)));
    }
    Ok(writes)
}

fn memory_v2(out: &mut Vec<Write>, memory: &LinuxMemory) -> Result<()> {
    let text = |bytes: i64| if bytes == -1 { "max".to_owned() } else { bytes.to_string() };
    let (limit, swap) = memory_limits(memory)?;
    put(out, "memory.max", limit.map(text));
    let swap_alone = match (limit, swap) {
        (Some(limit), Some(sum)) if limit > 0 && sum > 0 => Some(sum - limit),
        (_, sum) => sum,
    };
    // Without the accounting of swap the kernel neither limits it nor counts any.
    let trivial =
        |value: &str| if matches!(value, "max" | "0") { Absent::Skip } else { Absent::Fail };
    put_or(out, "memory.swap.max", swap_alone.map(text), trivial);
    put(out, "memory.low", nonzero(memory.reservation()).map(text));
    if memory.swappiness().is_some() {
        return Err(refuse("memory.swappiness", "needs cgroup v1, and this host has version 2"));
    }
    if memory.disable_oom_killer() == Some(true) {
        return Err(refuse("memory.disableOOMKiller", "needs cgroup v1, this host has version 2"));
    }
    Ok(())
}

/// Shares 2..262144 lie on weights 1..10000, on a straight line as in the kubelet, which weighs
/// the pods among which the containers share.
pub fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

fn cpu_v2(out: &mut Vec<Write>, cpu: &LinuxCpu) -> Result<()> {
    if cpu.realtime_runtime().is_some_and(|us| us != 0)
        || cpu.realtime_period().is_some_and(|us| us != 0)
    {
        return Err(refuse("cpu.realtimeRuntime", "needs cgroup v1, this host has version 2"));
    }
    let idle = cpu.idle();
    put(out, "cpu.idle", idle);
    // The kernel refuses a weight for an idle group.
    if idle != Some(1) {
        put(out, "cpu.weight", nonzero(cpu.shares()).map(cpu_weight));
    }
    let quota = nonzero(cpu.quota()).map(|quota| match quota {
        ..0 => "max".to_owned(),
        quota => quota.to_string(),
    });
    match (quota, nonzero(cpu.period())) {
        (Some(quota), Some(period)) => put(out, "cpu.max", Some(format!("{quota} {period}"))),
        (None, Some(period)) => put(out, "cpu.max", Some(format!("max {period}"))),
        (quota, None) => put(out, "cpu.max", quota),
    }
    put(out, "cpu.max.burst", cpu.burst());
    cpuset(out, cpu);
    Ok(())
}

fn block_io_v2(out: &mut Vec<Write>, io: &LinuxBlockIo) -> Result<()> {
    // blkio's 10..1000 is bfq's range; io.weight's is 1..10000.
    let scale = |weight: u16| 1 + (u32::from(weight.clamp(10, 1000)) - 10) * 9_999 / 990;
    if let Some(weight) = nonzero(io.weight()) {
        put_or(out, "io.bfq.weight", Some(weight), |_| {
            Absent::Instead("io.weight", scale(weight).to_string())
        });
    }
    if io.leaf_weight().is_some_and(|weight| weight != 0) {
        return Err(refuse("blockIO.leafWeight", "no longer known to the kernel"));
    }
    for device in io.weight_device().iter().flatten() {
        let (name, weight) =
            (format!("{}:{}", device.major(), device.minor()), device.weight().unwrap_or(100));
        put_or(out, "io.bfq.weight", Some(format!("{name} {weight}")), |_| {
            Absent::Instead("io.weight", format!("{name} {}", scale(weight)))
        });
    }
    for (key, devices) in [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ] {
        for (device, rate) in throttles(devices.as_ref()) {
            put(out, "io.max", Some(format!("{device} {key}={rate}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Writes = fn(&LinuxResources) -> Result<Vec<Write>>;

    fn shown(writes: Writes, json: &str) -> String {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        match writes(&resources) {
            Ok(writes) => {
                let lines = writes.iter().map(|write| format!("{}={}", write.file, write.value));
                lines.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn writes_follow_the_oci_spec() {
        let table: &[(&str, &str, &str)] = &[
            (r#"{"memory": {"limit": 0}}"#, "", ""),
            (
                r#"{"memory": {"limit": 512, "swap": 2048}}"#,
                "memory.limit_in_bytes=512 memory.memsw.limit_in_bytes=2048",
                "memory.max=512 memory.swap.max=1536",
            ),
            (
                r#"{"memory": {"limit": -1}}"#,
                "memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1",
                "memory.max=max memory.swap.max=max",
            ),
            (
                r#"{"memory": {"swap": 9}}"#,
                "config.json: linux.resources.memory.swap: needs memory.limit",
                "config.json: linux.resources.memory.swap: needs memory.limit",
            ),
            (
                r#"{"cpu": {"shares": 1024, "quota": 50000, "period": 100000}}"#,
                "cpu.shares=1024 cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000",
                "cpu.weight=39 cpu.max=50000 100000",
            ),
            (
                r#"{"cpu": {"shares": 2, "quota": -1, "cpus": "0-1"}}"#,
                "cpu.shares=2 cpu.cfs_quota_us=-1 cpuset.cpus=0-1",
                "cpu.weight=1 cpu.max=max cpuset.cpus=0-1",
            ),
            (r#"{"pids": {"limit": 0}}"#, "", ""),
            (r#"{"pids": {"limit": -1}}"#, "pids.max=max", "pids.max=max"),
            (
                r#"{"blockIO": {"weight": 1000, "throttleReadBpsDevice":
                    [{"major": 8, "minor": 0, "rate": 600}]}}"#,
                "blkio.weight=1000 blkio.throttle.read_bps_device=8:0 600",
                "io.bfq.weight=1000 io.max=8:0 rbps=600",
            ),
            (
                r#"{"cpu": {"idle": 1, "shares": 512, "burst": 7, "quota": 9}}"#,
                "cpu.cfs_quota_us=9 cpu.cfs_burst_us=7 cpu.idle=1",
                "cpu.idle=1 cpu.max=9 cpu.max.burst=7",
            ),
            (
                r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#,
                "hugetlb.2MB.limit_in_bytes=4194304 hugetlb.2MB.rsvd.limit_in_bytes=4194304",
                "hugetlb.2MB.max=4194304 hugetlb.2MB.rsvd.max=4194304",
            ),
            (
                r#"{"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}}"#,
                "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
                "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
            ),
            (r#"{"memory": {"disableOOMKiller": false}}"#, "memory.oom_control=0", ""),
            (
                r#"{"network": {}, "unified": {"io.max": "8:0 rbps=1\n8:16 rbps=2"}}"#,
                "config.json: linux.resources.unified: \
                 needs cgroup v2, and this host has version 1",
                "io.max=8:0 rbps=1 io.max=8:16 rbps=2",
            ),
            (
                r#"{"unified": {"memory.high": "9", "cpu.weight": "7"}}"#,
                "config.json: linux.resources.unified: \
                 needs cgroup v2, and this host has version 1",
                "cpu.weight=7 memory.high=9",
            ),
        ];
        for (json, want_v1, want_v2) in table {
            assert_eq!(shown(v1, json), *want_v1, "v1 {json}");
            assert_eq!(shown(v2, json), *want_v2, "v2 {json}");
        }
    }

    #[test]
    fn what_one_version_lacks_is_refused() {
        assert!(shown(v2, r#"{"memory": {"swappiness": 10}}"#).contains("needs cgroup v1"));
        assert!(shown(v2, r#"{"network": {"classID": 1}}"#).contains("needs cgroup v1"));
        assert!(shown(v2, r#"{"unified": {"../x.y": "1"}}"#).contains("no file of a cgroup"));
        assert!(shown(v2, r#"{"unified": {"cgroup.procs": "1"}}"#).contains("no limit"));
        let size = r#"{"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}"#;
        assert!(shown(v1, size).contains("no size of a huge page"));
    }

    #[test]
    fn deprecated_limits_are_named() {
        for (json, want) in [
            (r#"{"memory": {"kernel": -1, "kernelTCP": 0, "useHierarchy": true}}"#, 0),
            (r#"{"memory": {"kernel": 5, "kernelTCP": 6, "useHierarchy": false}}"#, 3),
            ("{}", 0),
        ] {
            let resources: LinuxResources = serde_json::from_str(json).unwrap();
            assert_eq!(passed_over(&resources).len(), want, "{json}");
        }
    }
}
