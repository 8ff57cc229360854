//! Counts of cgroup v2, all in one directory.

use super::{
    Group, complete, counted, counts, cpuset, hugetlb, known, number, pids, pressure, raw, rdma,
};
use serde_json::{Value, json};
use std::path::Path;
use wamr_cgroup_stats::v2 as files;

/// Reads what the container in `directory` uses.
pub fn read(directory: &Path) -> Value {
    let group = Some(directory);
    let stats = json!({
        "cpu": cpu(group),
        "cpuset": cpuset(group, ".effective"),
        "memory": memory(group),
        "pids": pids(group),
        "blkio": blkio(group),
        "hugetlb": hugetlb(group, "current", |size| {
            let usage = number(group, &format!("hugetlb.{size}.current"));
            let events = counts(group, &format!("hugetlb.{size}.events"));
            json!({"usage": usage, "max": 0, "failcnt": events.or_zero("max")})
        }),
    });
    complete(stats, rdma(group))
}

fn cpu(group: Group) -> Value {
    let stat = counts(group, "cpu.stat");
    let time_ns = |name: &str| stat.get(name).map(|us| us.saturating_mul(1000));
    let some_ns = |name: &str| time_ns(name).unwrap_or(0);
    let usage = json!({
        "total": some_ns("usage_usec"),
        "kernel": some_ns("system_usec"),
        "user": some_ns("user_usec"),
    });
    let throttling = json!({
        "periods": stat.or_zero("nr_periods"),
        "throttledPeriods": stat.or_zero("nr_throttled"),
        "throttledTime": some_ns("throttled_usec"),
        "burstPeriods": stat.get("nr_bursts"),
        "burstTime": time_ns("burst_usec"),
    });
    let psi = pressure(group, "cpu.pressure");
    counted(json!({"usage": usage, "throttling": counted(throttling), "psi": psi}))
}

fn memory(group: Group) -> Value {
    let stat = counts(group, "memory.stat");
    let entry = |prefix: &str| {
        let number = |name: &str| number(group, &format!("{prefix}.{name}"));
        let failcnt = counts(group, &format!("{prefix}.events")).or_zero("max");
        let (limit, usage, max) = (number("max"), number("current"), number("peak"));
        json!({"limit": limit, "usage": usage, "max": max, "failcnt": failcnt})
    };
    let part = |name: &str| {
        let usage = stat.or_zero(name);
        json!({"limit": u64::MAX, "usage": usage, "max": 0, "failcnt": 0})
    };
    counted(json!({
        "cache": stat.or_zero("file"),
        "usage": entry("memory"),
        "swap": entry("memory.swap"),
        "kernel": part("kernel"),
        "kernelTCP": part("sock"),
        "raw": raw(&stat),
        "psi": pressure(group, "memory.pressure"),
    }))
}

fn blkio(group: Group) -> Value {
    let devices = known(group, files::io).unwrap_or_default();
    let entries = |counts: fn(&files::Device) -> [Option<u64>; 3]| -> Vec<Value> {
        let of_device = |device: &files::Device| {
            let (major, minor) = (device.major, device.minor);
            let entry = move |(op, value): (&str, Option<u64>)| {
                Some(json!({"major": major, "minor": minor, "op": op, "value": value?}))
            };
            ["Read", "Write", "Discard"].into_iter().zip(counts(device)).filter_map(entry)
        };
        devices.iter().flat_map(of_device).collect()
    };
    counted(json!({
        "ioServiceBytesRecursive": entries(|device| [device.rbytes, device.wbytes, device.dbytes]),
        "ioServicedRecursive": entries(|device| [device.rios, device.wios, device.dios]),
        "psi": pressure(group, "io.pressure"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_group_as_a_6_12_kernel_shows_it() {
        let top = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 1\nnr_bursts 4\n"),
            ("cpu.pressure", "some avg10=0.10 avg60=0.00 avg300=0.00 total=11\n"),
            ("memory.max", "max\n"),
            ("memory.current", "8192\n"),
            ("memory.peak", "9000\n"),
            ("memory.stat", "anon 10\nfile 20\nkernel 30\nsock 40\n"),
            ("memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n"),
            ("memory.swap.max", "0\n"),
            ("pids.current", "2\n"),
            ("pids.max", "33\n"),
            ("cpuset.cpus.effective", "1\n"),
            ("io.stat", "254:0 rbytes=512 wbytes=0 rios=1 wios=0 dbytes=0\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=max\n"),
            ("hugetlb.2MB.current", "2097152\n"),
            ("hugetlb.2MB.events", "max 3\n"),
        ] {
            fs::write(top.path().join(file), text).unwrap();
        }
        let stats = read(top.path());
        let (usage, throttling) = (&stats["cpu"]["usage"], &stats["cpu"]["throttling"]);
        assert_eq!(*usage, json!({"total": 5000, "user": 3000, "kernel": 2000}));
        assert_eq!((&throttling["burstPeriods"], throttling.get("burstTime")), (&json!(4), None));
        assert_eq!(stats["cpu"]["psi"]["some"]["total"], 11);
        let memory = &stats["memory"];
        let usage = json!({"limit": u64::MAX, "usage": 8192, "max": 9000, "failcnt": 6});
        assert_eq!(memory["usage"], usage);
        assert_eq!((&memory["swap"]["limit"], &memory["cache"]), (&json!(0), &json!(20)));
        let kernel = json!({"limit": u64::MAX, "usage": 30, "max": 0, "failcnt": 0});
        assert_eq!((&memory["kernel"], &memory["kernelTCP"]["usage"]), (&kernel, &json!(40)));
        assert_eq!(memory.get("psi"), None);
        assert_eq!(stats["pids"], json!({"current": 2, "limit": 33}));
        assert_eq!(stats["cpuset"], json!({"cpus": [1]}));
        let entry = |op, value| json!({"major": 254, "minor": 0, "op": op, "value": value});
        let bytes = json!([entry("Read", 512), entry("Write", 0), entry("Discard", 0)]);
        assert_eq!(stats["blkio"]["ioServiceBytesRecursive"], bytes);
        let requests = json!([entry("Read", 1), entry("Write", 0)]);
        assert_eq!(stats["blkio"]["ioServicedRecursive"], requests);
        let huge_pages = json!({"usage": 2 << 20, "max": 0, "failcnt": 3});
        assert_eq!(stats["hugetlb"], json!({ "2MB": huge_pages }));
        let device = json!({"device": "mlx4_0", "hca_handles": 2, "hca_objects": null});
        assert_eq!(stats["rdma"], json!({"current": [device], "limit": []}));
        assert_eq!((&stats["network_interfaces"], &stats["intel_rdt"]), (&Value::Null, &json!({})));
    }
}
