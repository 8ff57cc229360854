//! Counts of cgroup v2, all in one directory.

use super::{Blkio, Cpuset, HugePages, Memory, MemoryEntry, Pids, Stats, form};
use std::path::Path;

/// Reads what the container in `directory` uses.
pub fn read(directory: &Path) -> Stats {
    let mut stats = Stats {
        cpuset: Cpuset {
            cpus: form::list(&form::text(directory, "cpuset.cpus.effective")),
            mems: form::list(&form::text(directory, "cpuset.mems.effective")),
        },
        memory: memory(directory),
        pids: pids(directory),
        blkio: blkio(directory),
        ..Stats::default()
    };
    cpu(&mut stats, directory);
    for size in form::huge_page_sizes(directory, "current") {
        let number = |name: &str| form::number(directory, &format!("hugetlb.{size}.{name}"));
        let events = form::keyed(&form::text(directory, &format!("hugetlb.{size}.events")));
        let failcnt = events.get("max").copied().unwrap_or(0);
        stats.hugetlb.insert(size.clone(), HugePages { usage: number("current"), max: 0, failcnt });
    }
    stats.rdma.current = form::rdma(&form::text(directory, "rdma.current"));
    stats.rdma.limit = form::rdma(&form::text(directory, "rdma.max"));
    stats
}

fn cpu(stats: &mut Stats, directory: &Path) {
    let counts = form::keyed(&form::text(directory, "cpu.stat"));
    let count = |name: &str| counts.get(name).copied();
    let time_ns = |name: &str| count(name).unwrap_or(0).saturating_mul(1000);
    let (usage, throttling) = (&mut stats.cpu.usage, &mut stats.cpu.throttling);
    usage.total = time_ns("usage_usec");
    usage.user = time_ns("user_usec");
    usage.kernel = time_ns("system_usec");
    throttling.periods = count("nr_periods").unwrap_or(0);
    throttling.throttled_periods = count("nr_throttled").unwrap_or(0);
    throttling.throttled_time = time_ns("throttled_usec");
    throttling.burst_periods = count("nr_bursts");
    throttling.burst_time = count("burst_usec").map(|us| us.saturating_mul(1000));
    stats.cpu.psi = form::pressure(&form::text(directory, "cpu.pressure"));
}

fn memory(directory: &Path) -> Memory {
    let number = |file: &str| form::number(directory, file);
    let raw = form::keyed(&form::text(directory, "memory.stat"));
    let events = form::keyed(&form::text(directory, "memory.events"));
    let swap_events = form::keyed(&form::text(directory, "memory.swap.events"));
    let stat = |name: &str| raw.get(name).copied().unwrap_or(0);
    let alone = |usage| MemoryEntry { limit: u64::MAX, usage, ..MemoryEntry::default() };
    Memory {
        cache: stat("file"),
        usage: MemoryEntry {
            limit: number("memory.max"),
            usage: number("memory.current"),
            max: number("memory.peak"),
            failcnt: events.get("max").copied().unwrap_or(0),
        },
        swap: MemoryEntry {
            limit: number("memory.swap.max"),
            usage: number("memory.swap.current"),
            max: number("memory.swap.peak"),
            failcnt: swap_events.get("max").copied().unwrap_or(0),
        },
        kernel: alone(stat("kernel")),
        kernel_tcp: alone(stat("sock")),
        psi: form::pressure(&form::text(directory, "memory.pressure")),
        raw,
    }
}

fn pids(directory: &Path) -> Pids {
    let limit = form::number(directory, "pids.max");
    let limit = if limit == u64::MAX { 0 } else { limit };
    Pids { current: form::number(directory, "pids.current"), limit }
}

fn blkio(directory: &Path) -> Blkio {
    let (bytes, requests) = form::io_stat(&form::text(directory, "io.stat"));
    Blkio {
        io_service_bytes_recursive: bytes,
        io_serviced_recursive: requests,
        psi: form::pressure(&form::text(directory, "io.pressure")),
    }
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
            ("io.stat", "254:0 rbytes=512 wbytes=0 rios=1 wios=0\n"),
            ("hugetlb.2MB.current", "2097152\n"),
            ("hugetlb.2MB.events", "max 3\n"),
        ] {
            fs::write(top.path().join(file), text).unwrap();
        }
        let stats = read(top.path());
        assert_eq!((stats.cpu.usage.total, stats.cpu.usage.kernel), (5000, 2000));
        assert_eq!(stats.cpu.throttling.burst_periods, Some(4));
        assert_eq!(stats.cpu.psi.unwrap().some.total, 11);
        let entry = MemoryEntry { limit: u64::MAX, usage: 8192, max: 9000, failcnt: 6 };
        assert_eq!(stats.memory.usage, entry);
        assert_eq!((stats.memory.swap.limit, stats.memory.cache), (0, 20));
        assert_eq!((stats.memory.kernel.usage, stats.memory.kernel_tcp.usage), (30, 40));
        assert_eq!(stats.pids, Pids { current: 2, limit: 33 });
        assert_eq!(stats.cpuset.cpus, [1]);
        assert_eq!(stats.blkio.io_service_bytes_recursive[0].value, 512);
        assert_eq!(stats.hugetlb["2MB"].failcnt, 3);
        assert_eq!(serde_json::to_value(&stats).unwrap()["memory"]["usage"]["limit"], u64::MAX);
    }
}
