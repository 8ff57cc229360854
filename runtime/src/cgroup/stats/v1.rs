//! Counts of cgroup v1, each from its hierarchy.

use super::{Group, complete, counted, counts, cpuset, hugetlb, known, number, pids, raw, rdma};
use crate::cgroup::v1;
use serde_json::{Value, json};
use wamr_cgroup_stats::v1 as files;

/// Reads what the container in `groups` uses.
pub fn read(groups: &v1::Group) -> Value {
    let own = |controller: &str| {
        let place = groups.directory(controller).filter(|place| place.own);
        place.map(|place| place.path.as_path())
    };
    // The set of a shared group binds the container just as one of its own.
    let set = groups.directory("cpuset").map(|place| place.path.as_path());
    let huge_pages = own("hugetlb");
    let stats = json!({
        "cpu": {"usage": cpu_usage(own("cpuacct")), "throttling": throttling(own("cpu"))},
        "cpuset": cpuset(set, ""),
        "memory": memory(own("memory")),
        "pids": pids(own("pids")),
        "blkio": blkio(own("blkio")),
        "hugetlb": hugetlb(huge_pages, "usage_in_bytes", |size| {
            let number = |name: &str| number(huge_pages, &format!("hugetlb.{size}.{name}"));
            let (usage, max) = (number("usage_in_bytes"), number("max_usage_in_bytes"));
            json!({"usage": usage, "max": max, "failcnt": number("failcnt")})
        }),
    });
    complete(stats, rdma(own("rdma")))
}

fn cpu_usage(group: Group) -> Value {
    let usage = known(group, files::cpu_usage).unwrap_or_default();
    let (total, percpu) = (usage.total_ns, usage.per_cpu_ns);
    let (kernel, user) = (usage.system_ns, usage.user_ns);
    counted(json!({"total": total, "percpu": percpu, "kernel": kernel, "user": user}))
}

fn throttling(group: Group) -> Value {
    let stat = counts(group, "cpu.stat");
    counted(json!({
        "periods": stat.or_zero("nr_periods"),
        "throttledPeriods": stat.or_zero("nr_throttled"),
        "throttledTime": stat.or_zero("throttled_time"),
        "burstPeriods": stat.get("nr_bursts"),
        "burstTime": stat.get("burst_time"),
    }))
}

fn memory(group: Group) -> Value {
    let entry = |prefix: &str| {
        let read = |directory: &_| files::memory_entry(directory, prefix).map(Some);
        let entry = known(group, read).unwrap_or_default();
        json!({
            "limit": entry.limit.unwrap_or(0),
            "usage": entry.usage.unwrap_or(0),
            "max": entry.max_usage.unwrap_or(0),
            "failcnt": entry.failcnt.unwrap_or(0),
        })
    };
    let stat = counts(group, "memory.stat");
    json!({
        "cache": stat.or_zero("cache"),
        "usage": entry("memory"),
        "swap": entry("memory.memsw"),
        "kernel": entry("memory.kmem"),
        "kernelTCP": entry("memory.kmem.tcp"),
        "raw": raw(&stat),
    })
}

/// The throttler counts on every kernel, a scheduler (here bfq) only where it is in charge.
fn blkio(group: Group) -> Value {
    let entry = |of: files::BlkioEntry| {
        let device = (of.major, of.minor);
        json!({"major": device.0, "minor": device.1, "op": of.op, "value": of.value})
    };
    let entries = |name: &str| -> Vec<Value> {
        let of = |counter: &str| {
            let file = format!("blkio.{counter}.{name}_recursive");
            known(group, |directory| files::blkio(directory, &file)).unwrap_or_default()
        };
        let by_scheduler = Some(of("bfq")).filter(|entries| !entries.is_empty());
        by_scheduler.unwrap_or_else(|| of("throttle")).into_iter().map(entry).collect()
    };
    counted(json!({
        "ioServiceBytesRecursive": entries("io_service_bytes"),
        "ioServicedRecursive": entries("io_serviced"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::v1::Hierarchy;
    use std::fs;

    #[test]
    fn only_what_is_the_containers_own_is_counted() {
        let top = tempfile::tempdir().unwrap();
        let place = |controllers: &str, own: bool| {
            let path = top.path().join(controllers);
            fs::create_dir(&path).unwrap();
            let controllers = controllers.to_owned();
            Hierarchy { controllers, path, own, first_made: None, joined: false }
        };
        let hierarchies = vec![
            place("cpu,cpuacct", true),
            place("memory", true),
            place("cpuset", false),
            place("hugetlb", false),
            place("pids", true),
        ];
        for (file, text) in [
            ("cpu,cpuacct/cpuacct.usage", "5000\n"),
            ("cpu,cpuacct/cpuacct.usage_percpu", "2000 3000\n"),
            ("cpu,cpuacct/cpuacct.stat", "user 3\nsystem 1\n"),
            ("cpu,cpuacct/cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 99\n"),
            ("memory/memory.usage_in_bytes", "4096\n"),
            ("memory/memory.limit_in_bytes", "8192\n"),
            ("memory/memory.stat", "cache 100\nrss 200\n"),
            ("cpuset/cpuset.cpus", "0-1\n"),
            ("hugetlb/hugetlb.2MB.usage_in_bytes", "1\n"),
            ("pids/pids.max", "max\n"),
            ("pids/pids.current", "3\n"),
        ] {
            fs::write(top.path().join(file), text).unwrap();
        }
        let stats = read(&v1::Group { hierarchies, scope: None });
        let usage = json!({"total": 5000, "percpu": [2000, 3000], "user": 30_000_000,
            "kernel": 10_000_000});
        assert_eq!(stats["cpu"]["usage"], usage);
        let throttling = json!({"periods": 7, "throttledPeriods": 2, "throttledTime": 99});
        assert_eq!(stats["cpu"]["throttling"], throttling);
        let memory = json!({"usage": 4096, "limit": 8192, "max": 0, "failcnt": 0});
        assert_eq!(stats["memory"]["usage"], memory);
        assert_eq!(stats["memory"]["cache"], 100);
        assert_eq!(stats["memory"]["raw"]["rss"], 200);
        assert_eq!(stats["cpuset"], json!({"cpus": [0, 1]}));
        assert_eq!(stats["pids"], json!({"current": 3, "limit": 0}));
        assert_eq!(stats["hugetlb"], json!({}), "those of a shared group");
        assert_eq!(stats["blkio"], json!({}));
        assert_eq!((&stats["network_interfaces"], stats.get("rdma")), (&Value::Null, None));
    }
}
