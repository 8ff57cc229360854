//! Counts of cgroup v1, each from its hierarchy.

use super::{Blkio, Cpuset, HugePages, MemoryEntry, Pids, Stats, form};
use crate::cgroup::v1::Group;
use std::path::Path;

/// The kernel counts CPU time of the two modes in ticks of this length.
const TICK_NS: u64 = 10_000_000;

/// Reads what the container in `group` uses.
pub fn read(group: &Group) -> Stats {
    let own = |controller: &str| {
        let place = group.directory(controller).filter(|place| place.own);
        place.map(|place| place.path.as_path())
    };
    let mut stats = Stats::default();
    if let Some(directory) = own("cpuacct") {
        cpu_usage(&mut stats, directory);
    }
    if let Some(directory) = own("cpu") {
        let counts = form::keyed(&form::text(directory, "cpu.stat"));
        let count = |name: &str| counts.get(name).copied();
        let throttling = &mut stats.cpu.throttling;
        throttling.periods = count("nr_periods").unwrap_or(0);
        throttling.throttled_periods = count("nr_throttled").unwrap_or(0);
        throttling.throttled_time = count("throttled_time").unwrap_or(0);
        throttling.burst_periods = count("nr_bursts");
        throttling.burst_time = count("burst_time");
    }
    // The set of a shared group binds the container just as one of its own.
    if let Some(place) = group.directory("cpuset") {
        stats.cpuset = Cpuset {
            cpus: form::list(&form::text(&place.path, "cpuset.cpus")),
            mems: form::list(&form::text(&place.path, "cpuset.mems")),
        };
    }
    if let Some(directory) = own("memory") {
        memory(&mut stats, directory);
    }
    if let Some(directory) = own("pids") {
        let limit = form::number(directory, "pids.max");
        let limit = if limit == u64::MAX { 0 } else { limit };
        stats.pids = Pids { current: form::number(directory, "pids.current"), limit };
    }
    if let Some(directory) = own("blkio") {
        stats.blkio = blkio(directory);
    }
    if let Some(directory) = own("hugetlb") {
        for size in form::huge_page_sizes(directory, "usage_in_bytes") {
            let number = |name: &str| form::number(directory, &format!("hugetlb.{size}.{name}"));
            let (usage, max) = (number("usage_in_bytes"), number("max_usage_in_bytes"));
            let pages = HugePages { usage, max, failcnt: number("failcnt") };
            stats.hugetlb.insert(size, pages);
        }
    }
    if let Some(directory) = own("rdma") {
        stats.rdma.current = form::rdma(&form::text(directory, "rdma.current"));
        stats.rdma.limit = form::rdma(&form::text(directory, "rdma.max"));
    }
    stats
}

fn cpu_usage(stats: &mut Stats, directory: &Path) {
    let usage = &mut stats.cpu.usage;
    usage.total = form::number(directory, "cpuacct.usage");
    let percpu = form::text(directory, "cpuacct.usage_percpu");
    usage.percpu = percpu.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let modes = form::keyed(&form::text(directory, "cpuacct.stat"));
    let time_ns = |name: &str| modes.get(name).map_or(0, |ticks| ticks.saturating_mul(TICK_NS));
    (usage.user, usage.kernel) = (time_ns("user"), time_ns("system"));
}

fn memory(stats: &mut Stats, directory: &Path) {
    let entry = |prefix: &str| {
        let number = |name: &str| form::number(directory, &format!("memory.{prefix}{name}"));
        MemoryEntry {
            limit: number("limit_in_bytes"),
            usage: number("usage_in_bytes"),
            max: number("max_usage_in_bytes"),
            failcnt: number("failcnt"),
        }
    };
    let memory = &mut stats.memory;
    memory.usage = entry("");
    memory.swap = entry("memsw.");
    memory.kernel = entry("kmem.");
    memory.kernel_tcp = entry("kmem.tcp.");
    memory.raw = form::keyed(&form::text(directory, "memory.stat"));
    memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
}

/// The throttler counts on every kernel, a scheduler (here bfq) only where it is in charge.
fn blkio(directory: &Path) -> Blkio {
    let first = |files: [&str; 2]| {
        let found = files.map(|file| form::blkio_v1(&form::text(directory, file)));
        found.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
    };
    Blkio {
        io_service_bytes_recursive: first([
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
        ]),
        io_serviced_recursive: first([
            "blkio.bfq.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
        ]),
        psi: None,
    }
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
        let stats = read(&Group { hierarchies, scope: None });
        assert_eq!(stats.cpu.usage.percpu, [2000, 3000]);
        assert_eq!((stats.cpu.usage.total, stats.cpu.usage.user), (5000, 3 * TICK_NS));
        assert_eq!(stats.cpu.throttling.throttled_periods, 2);
        assert_eq!((stats.memory.usage.usage, stats.memory.usage.limit), (4096, 8192));
        assert_eq!((stats.memory.cache, stats.memory.raw["rss"]), (100, 200));
        assert_eq!(stats.cpuset.cpus, [0, 1]);
        assert_eq!(stats.pids, Pids { current: 3, limit: 0 });
        assert!(stats.hugetlb.is_empty(), "those of a shared group");
    }
}
