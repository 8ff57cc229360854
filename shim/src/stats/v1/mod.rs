//! Counts of cgroup v1, each in the directory of its controller.

mod directories;
mod message;

pub use directories::Directories;

use message::{Blkio, BlkioEntry, Cpu, CpuUsage, Throttling};
use message::{Memory, MemoryEntry, Metrics, OomControl, Pids};
use prost::Message;
use std::io;
use std::path::Path;
use wamr_cgroup_stats::{Counts, counts, v1 as files};

/// Reads the groups in `directories` into an encoded message.
///
/// Where there is a [`Cpu`] or a [`Memory`], its parts are there too, if empty: containerd's own
/// metrics use them unasked, and a missing one would end containerd.
///
/// # Errors
/// A file that is there cannot be read.
pub fn read(directories: &Directories) -> io::Result<Vec<u8>> {
    let mut metrics = Metrics { cpu: cpu(directories)?, ..Metrics::default() };
    if let Some(directory) = directories.of("pids") {
        metrics.pids = wamr_cgroup_stats::pids(&directory)?.map(pids);
    }
    if let Some(directory) = directories.of("memory") {
        if let Some(stat) = counts(&directory, "memory.stat")? {
            metrics.memory = Some(memory(&directory, &stat)?);
        }
        metrics.memory_oom_control = counts(&directory, "memory.oom_control")?.map(
            |control| by_name!(control, OomControl { oom_kill_disable, under_oom, oom_kill; }),
        );
    }
    if let Some(directory) = directories.of("blkio") {
        metrics.blkio = blkio(&directory)?;
    }
    Ok(metrics.encode_to_vec())
}

fn pids(pids: wamr_cgroup_stats::Pids) -> Pids {
    // 0 stands for no limit.
    let limit = pids.max.filter(|max| *max < u64::MAX);
    Pids { current: pids.current, limit: limit.unwrap_or(0) }
}

fn cpu(directories: &Directories) -> io::Result<Option<Cpu>> {
    let usage = match directories.of("cpuacct") {
        Some(directory) => files::cpu_usage(&directory)?,
        None => None,
    };
    let throttling = match directories.of("cpu") {
        Some(directory) => counts(&directory, "cpu.stat")?,
        None => None,
    };
    if usage.is_none() && throttling.is_none() {
        return Ok(None);
    }
    let files::CpuUsage { total_ns, user_ns, system_ns, per_cpu_ns } = usage.unwrap_or_default();
    let usage = CpuUsage { total: total_ns, kernel: system_ns, user: user_ns, per_cpu: per_cpu_ns };
    let stat = throttling.unwrap_or_default();
    let throttling = Throttling {
        periods: stat.or_zero("nr_periods"),
        throttled_periods: stat.or_zero("nr_throttled"),
        throttled_time: stat.or_zero("throttled_time"),
    };
    Ok(Some(Cpu { usage: Some(usage), throttling: Some(throttling) }))
}

fn memory(directory: &Path, stat: &Counts) -> io::Result<Memory> {
    let entry = |prefix: &str| {
        Ok::<_, io::Error>(Some(memory_entry(files::memory_entry(directory, prefix)?)))
    };
    Ok(Memory {
        usage: entry("memory")?,
        swap: entry("memory.memsw")?,
        kernel: entry("memory.kmem")?,
        kernel_tcp: entry("memory.kmem.tcp")?,
        ..memory_stat(stat)
    })
}

fn memory_entry(entry: files::MemoryEntry) -> MemoryEntry {
    let Some(usage) = entry.usage else { return MemoryEntry::default() };
    MemoryEntry {
        // containerd subtracts from it.
        limit: entry.limit.unwrap_or(u64::MAX),
        usage,
        max: entry.max_usage.unwrap_or(0),
        failcnt: entry.failcnt.unwrap_or(0),
    }
}

fn memory_stat(stat: &Counts) -> Memory {
    by_name!(stat, Memory {
        cache, rss, rss_huge, mapped_file, dirty, writeback,
        pgpgin, pgpgout, pgfault, pgmajfault,
        inactive_anon, active_anon, inactive_file, active_file, unevictable,
        hierarchical_memory_limit, hierarchical_memsw_limit,
        total_cache, total_rss, total_rss_huge, total_mapped_file, total_dirty, total_writeback,
        total_pgpgin, total_pgpgout, total_pgfault, total_pgmajfault,
        total_inactive_anon, total_active_anon, total_inactive_file, total_active_file,
        total_unevictable;
        ..Memory::default()
    })
}

/// The throttler's counts, which every kernel has; those with the sub-groups came later.
fn blkio(directory: &Path) -> io::Result<Option<Blkio>> {
    let entries = |name: &str| -> io::Result<Option<Vec<BlkioEntry>>> {
        let recursive = files::blkio(directory, &format!("blkio.throttle.{name}_recursive"))?;
        let entries = match recursive {
            None => files::blkio(directory, &format!("blkio.throttle.{name}"))?,
            some => some,
        };
        Ok(entries.map(|entries| entries.into_iter().map(blkio_entry).collect()))
    };
    let (bytes, requests) = (entries("io_service_bytes")?, entries("io_serviced")?);
    Ok((bytes.is_some() || requests.is_some()).then(|| Blkio {
        io_service_bytes_recursive: bytes.unwrap_or_default(),
        io_serviced_recursive: requests.unwrap_or_default(),
    }))
}

fn blkio_entry(entry: files::BlkioEntry) -> BlkioEntry {
    let files::BlkioEntry { major, minor, op, value } = entry;
    BlkioEntry { op, major: major.into(), minor: minor.into(), value }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    /// The processor time in an encoded message.
    pub fn cpu_ns(value: &[u8]) -> Option<u64> {
        Metrics::decode(value).unwrap().cpu.and_then(|cpu| cpu.usage).map(|usage| usage.total)
    }

    /// Groups `pod/box` with `files`, each `CONTROLLER/NAME`.
    pub fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Directories) {
        let top = tempfile::tempdir().unwrap();
        let places = Directories::CONTROLLERS.map(|controller| {
            let point = top.path().join(controller);
            fs::create_dir_all(point.join("pod/box")).unwrap();
            Some((point.into_os_string().into_string().unwrap(), "pod/box".to_owned()))
        });
        for (path, text) in files {
            let (controller, file) = path.split_once('/').unwrap();
            fs::write(top.path().join(controller).join("pod/box").join(file), text).unwrap();
        }
        (top, Directories::new(&places).unwrap())
    }

    fn read_files(files: &[(&str, &str)]) -> Metrics {
        let (_top, directories) = host(files);
        Metrics::decode(read(&directories).unwrap().as_slice()).unwrap()
    }

    /// As a 6.18 kernel prints them, with numbers of their own.
    const FILES: [(&str, &str); 20] = [
        ("pids/pids.current", "3\n"),
        ("pids/pids.max", "64\n"),
        ("cpuacct/cpuacct.usage", "5000\n"),
        ("cpuacct/cpuacct.stat", "user 3\nsystem 1\n"),
        ("cpuacct/cpuacct.usage_percpu", "2000 3000 \n"),
        (
            "cpu/cpu.stat",
            "nr_periods 7\nnr_throttled 2\nthrottled_time 99\nnr_bursts 0\nburst_time 0\n",
        ),
        ("memory/memory.usage_in_bytes", "4096\n"),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory/memory.max_usage_in_bytes", "8192\n"),
        ("memory/memory.failcnt", "6\n"),
        ("memory/memory.memsw.usage_in_bytes", "4097\n"),
        ("memory/memory.memsw.limit_in_bytes", "16384\n"),
        ("memory/memory.memsw.max_usage_in_bytes", "8193\n"),
        ("memory/memory.memsw.failcnt", "7\n"),
        ("memory/memory.kmem.usage_in_bytes", "11\n"),
        ("memory/memory.kmem.tcp.usage_in_bytes", "12\n"),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n"),
        (
            "blkio/blkio.throttle.io_service_bytes_recursive",
            "254:0 Read 4096\n254:0 Write 0\n254:0 Total 4096\nTotal 4096\n",
        ),
        ("blkio/blkio.throttle.io_serviced", "8:16 Read 3\nTotal 3\n"),
        ("memory/memory.stat", MEMORY_STAT),
    ];

    const MEMORY_STAT: &str = "cache 1\nrss 2\nrss_huge 3\nshmem 77\nmapped_file 4\ndirty 5\n\
        writeback 6\nworkingset_refault_anon 77\nswap 77\nswapcached 77\npgpgin 7\npgpgout 8\n\
        pgfault 9\npgmajfault 10\ninactive_anon 11\nactive_anon 12\ninactive_file 13\n\
        active_file 14\nunevictable 15\nhierarchical_memory_limit 16\n\
        hierarchical_memsw_limit 17\ntotal_cache 18\ntotal_rss 19\ntotal_rss_huge 20\n\
        total_shmem 77\ntotal_mapped_file 21\ntotal_dirty 22\ntotal_writeback 23\n\
        total_swap 77\ntotal_pgpgin 24\ntotal_pgpgout 25\ntotal_pgfault 26\n\
        total_pgmajfault 27\ntotal_inactive_anon 28\ntotal_active_anon 29\n\
        total_inactive_file 30\ntotal_active_file 31\ntotal_unevictable 32\n";

    #[test]
    fn groups_as_a_6_18_kernel_shows_them() {
        let metrics = read_files(&FILES);
        assert_eq!(metrics.pids, Some(Pids { current: 3, limit: 64 }));
        let cpu = metrics.cpu.unwrap();
        let usage = CpuUsage {
            total: 5000,
            kernel: 10_000_000,
            user: 30_000_000,
            per_cpu: vec![2000, 3000],
        };
        assert_eq!(cpu.usage, Some(usage));
        let throttling = Throttling { periods: 7, throttled_periods: 2, throttled_time: 99 };
        assert_eq!(cpu.throttling, Some(throttling));
        let memory = metrics.memory.unwrap();
        let limit = 9_223_372_036_854_771_712;
        let usage = MemoryEntry { limit, usage: 4096, max: 8192, failcnt: 6 };
        assert_eq!(memory.usage, Some(usage));
        let swap = MemoryEntry { limit: 16384, usage: 4097, max: 8193, failcnt: 7 };
        assert_eq!(memory.swap, Some(swap));
        assert_eq!(memory.kernel.unwrap().usage, 11);
        assert_eq!(memory.kernel_tcp.unwrap().usage, 12);
        let control = OomControl { oom_kill_disable: 0, under_oom: 1, oom_kill: 2 };
        assert_eq!(metrics.memory_oom_control, Some(control));
        let blkio = metrics.blkio.unwrap();
        let entry = |op: &str, value| {
            let op = op.to_owned();
            BlkioEntry { op, major: 254, minor: 0, value }
        };
        let bytes = [entry("Read", 4096), entry("Write", 0), entry("Total", 4096)];
        assert_eq!(blkio.io_service_bytes_recursive, bytes);
        let requests = [BlkioEntry { op: "Read".to_owned(), major: 8, minor: 16, value: 3 }];
        assert_eq!(blkio.io_serviced_recursive, requests);
    }

    /// Each number of [`MEMORY_STAT`] is that of the field it belongs to.
    #[test]
    fn memory_counts_are_in_the_fields_of_their_names() {
        let bytes = memory_stat(&Counts::from(MEMORY_STAT.to_owned())).encode_to_vec();
        let mut rest = bytes.as_slice();
        let mut fields = 0;
        while !rest.is_empty() {
            let key = prost::encoding::decode_varint(&mut rest).unwrap();
            let value = prost::encoding::decode_varint(&mut rest).unwrap();
            assert_eq!((key >> 3, key & 7), (value, 0));
            fields += 1;
        }
        assert_eq!(fields, 32);
    }

    #[test]
    fn what_is_missing_or_odd_is_left_out() {
        let pids =
            |current, limit| Metrics { pids: Some(Pids { current, limit }), ..Metrics::default() };
        let parts =
            Cpu { usage: Some(CpuUsage::default()), throttling: Some(Throttling::default()) };
        let cpu = Metrics { cpu: Some(parts), ..Metrics::default() };
        let blkio = Metrics { blkio: Some(Blkio::default()), ..Metrics::default() };
        for (files, want) in [
            (&[][..], Metrics::default()),
            (&[("pids/pids.current", "2\n"), ("pids/pids.max", "max\n")], pids(2, 0)),
            (&[("pids/pids.current", "2\n"), ("pids/pids.max", "-1\n")], pids(2, 0)),
            (&[("pids/pids.max", "5\n")], Metrics::default()),
            (
                &[("cpuacct/cpuacct.usage", "0\n"), ("cpuacct/cpuacct.stat", "user x\n")],
                cpu.clone(),
            ),
            (&[("cpu/cpu.stat", "\n")], cpu),
            (&[("blkio/blkio.throttle.io_serviced", "Total 0\n")], blkio),
        ] {
            assert_eq!(read_files(files), want, "{files:?}");
        }
    }

    /// containerd uses them without asking.
    #[test]
    fn the_parts_of_memory_are_always_there() {
        let memory = read_files(&[("memory/memory.stat", "cache max\n")]).memory.unwrap();
        let none = Some(MemoryEntry::default());
        assert_eq!((&memory.usage, &memory.swap), (&none, &none));
        assert_eq!((&memory.kernel, &memory.kernel_tcp), (&none, &none));
        let files = [("memory/memory.stat", ""), ("memory/memory.usage_in_bytes", "9\n")];
        let usage = read_files(&files).memory.unwrap().usage.unwrap();
        assert_eq!((usage.usage, usage.limit), (9, u64::MAX));
    }
}
