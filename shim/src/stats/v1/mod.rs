//! Counts of cgroup v1, each in the directory of its controller.

mod directories;
mod message;

pub use directories::Directories;

use super::files;
use message::{Blkio, BlkioEntry, Cpu, CpuUsage, Throttling};
use message::{Memory, MemoryEntry, Metrics, OomControl, Pids};
use prost::Message;
use std::io;
use std::path::Path;

/// The kernel counts the time of the two modes in ticks of this length.
const TICK_NS: u64 = 10_000_000;

/// Reads the groups in `directories` into an encoded message.
///
/// Where there is a [`Cpu`] or a [`Memory`], its parts are there too, if empty: containerd's own
/// metrics use them unasked, and a missing one would end containerd.
///
/// # Errors
/// Those of [`files::text`].
pub fn read(directories: &Directories) -> io::Result<Vec<u8>> {
    let mut metrics = Metrics { cpu: cpu(directories)?, ..Metrics::default() };
    if let Some(directory) = directories.of("pids") {
        metrics.pids = pids(&directory)?;
    }
    if let Some(directory) = directories.of("memory") {
        metrics.memory = memory(&directory)?;
        metrics.memory_oom_control =
            files::text(&directory, "memory.oom_control")?.as_deref().map(oom_control);
    }
    if let Some(directory) = directories.of("blkio") {
        metrics.blkio = blkio(&directory)?;
    }
    Ok(metrics.encode_to_vec())
}

/// How many processes of the group the kernel has ended for memory.
pub fn oom_kills(directories: &Directories) -> u64 {
    let directory = directories.of("memory");
    let text = directory.and_then(|path| files::text(&path, "memory.oom_control").ok().flatten());
    text.map_or(0, |text| oom_control(&text).oom_kill)
}

fn pids(directory: &Path) -> io::Result<Option<Pids>> {
    let Some(current) = files::number(directory, "pids.current")? else { return Ok(None) };
    // 0 stands for no limit.
    let limit = files::number(directory, "pids.max")?.filter(|limit| *limit < u64::MAX);
    Ok(Some(Pids { current, limit: limit.unwrap_or(0) }))
}

fn cpu(directories: &Directories) -> io::Result<Option<Cpu>> {
    let usage = match directories.of("cpuacct") {
        Some(directory) => cpu_usage(&directory)?,
        None => None,
    };
    let throttling = match directories.of("cpu") {
        Some(directory) => files::text(&directory, "cpu.stat")?.as_deref().map(throttling),
        None => None,
    };
    Ok((usage.is_some() || throttling.is_some()).then(|| Cpu {
        usage: Some(usage.unwrap_or_default()),
        throttling: Some(throttling.unwrap_or_default()),
    }))
}

fn cpu_usage(directory: &Path) -> io::Result<Option<CpuUsage>> {
    let Some(total) = files::number(directory, "cpuacct.usage")? else { return Ok(None) };
    let modes = files::text(directory, "cpuacct.stat")?.unwrap_or_default();
    let ticks = files::keyed(&modes);
    let per_cpu = files::text(directory, "cpuacct.usage_percpu")?.unwrap_or_default();
    Ok(Some(CpuUsage {
        total,
        kernel: ticks("system").saturating_mul(TICK_NS),
        user: ticks("user").saturating_mul(TICK_NS),
        per_cpu: per_cpu.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect(),
    }))
}

fn throttling(text: &str) -> Throttling {
    let count = files::keyed(text);
    Throttling {
        periods: count("nr_periods"),
        throttled_periods: count("nr_throttled"),
        throttled_time: count("throttled_time"),
    }
}

fn memory(directory: &Path) -> io::Result<Option<Memory>> {
    let Some(text) = files::text(directory, "memory.stat")? else { return Ok(None) };
    let entry = |prefix: &str| memory_entry(directory, prefix).map(Some);
    Ok(Some(Memory {
        usage: entry("memory")?,
        swap: entry("memory.memsw")?,
        kernel: entry("memory.kmem")?,
        kernel_tcp: entry("memory.kmem.tcp")?,
        ..memory_stat(&text)
    }))
}

fn memory_entry(directory: &Path, prefix: &str) -> io::Result<MemoryEntry> {
    let number = |name: &str| files::number(directory, &format!("{prefix}.{name}"));
    let Some(usage) = number("usage_in_bytes")? else { return Ok(MemoryEntry::default()) };
    Ok(MemoryEntry {
        // containerd subtracts from it.
        limit: number("limit_in_bytes")?.unwrap_or(u64::MAX),
        usage,
        max: number("max_usage_in_bytes")?.unwrap_or(0),
        failcnt: number("failcnt")?.unwrap_or(0),
    })
}

fn memory_stat(text: &str) -> Memory {
    let stat = files::keyed(text);
    Memory {
        cache: stat("cache"),
        rss: stat("rss"),
        rss_huge: stat("rss_huge"),
        mapped_file: stat("mapped_file"),
        dirty: stat("dirty"),
        writeback: stat("writeback"),
        pgpgin: stat("pgpgin"),
        pgpgout: stat("pgpgout"),
        pgfault: stat("pgfault"),
        pgmajfault: stat("pgmajfault"),
        inactive_anon: stat("inactive_anon"),
        active_anon: stat("active_anon"),
        inactive_file: stat("inactive_file"),
        active_file: stat("active_file"),
        unevictable: stat("unevictable"),
        hierarchical_memory_limit: stat("hierarchical_memory_limit"),
        hierarchical_memsw_limit: stat("hierarchical_memsw_limit"),
        total_cache: stat("total_cache"),
        total_rss: stat("total_rss"),
        total_rss_huge: stat("total_rss_huge"),
        total_mapped_file: stat("total_mapped_file"),
        total_dirty: stat("total_dirty"),
        total_writeback: stat("total_writeback"),
        total_pgpgin: stat("total_pgpgin"),
        total_pgpgout: stat("total_pgpgout"),
        total_pgfault: stat("total_pgfault"),
        total_pgmajfault: stat("total_pgmajfault"),
        total_inactive_anon: stat("total_inactive_anon"),
        total_active_anon: stat("total_active_anon"),
        total_inactive_file: stat("total_inactive_file"),
        total_active_file: stat("total_active_file"),
        total_unevictable: stat("total_unevictable"),
        ..Memory::default()
    }
}

fn oom_control(text: &str) -> OomControl {
    let number = files::keyed(text);
    OomControl {
        oom_kill_disable: number("oom_kill_disable"),
        under_oom: number("under_oom"),
        oom_kill: number("oom_kill"),
    }
}

/// The throttler's counts, which every kernel has; those with the sub-groups came later.
fn blkio(directory: &Path) -> io::Result<Option<Blkio>> {
    let entries = |name: &str| -> io::Result<Option<Vec<BlkioEntry>>> {
        let recursive = format!("blkio.throttle.{name}_recursive");
        let text = match files::text(directory, &recursive)? {
            None => files::text(directory, &format!("blkio.throttle.{name}"))?,
            some => some,
        };
        Ok(text.map(|text| text.lines().filter_map(blkio_entry).collect()))
    };
    let (bytes, requests) = (entries("io_service_bytes")?, entries("io_serviced")?);
    Ok((bytes.is_some() || requests.is_some()).then(|| Blkio {
        io_service_bytes_recursive: bytes.unwrap_or_default(),
        io_serviced_recursive: requests.unwrap_or_default(),
    }))
}

/// `MAJOR:MINOR operation number`; the sum in the last line has no device.
fn blkio_entry(line: &str) -> Option<BlkioEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = files::device(words.next()?)?;
    let op = words.next()?.to_owned();
    Some(BlkioEntry { op, major, minor, value: words.next()?.parse().ok()? })
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
    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Directories) {
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
        let bytes = memory_stat(MEMORY_STAT).encode_to_vec();
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
            (&[("pids/pids.current", "\n"), ("pids/pids.max", "5\n")], Metrics::default()),
            (
                &[("cpuacct/cpuacct.usage", "0\n"), ("cpuacct/cpuacct.stat", "user x\n")],
                cpu.clone(),
            ),
            (&[("cpuacct/cpuacct.usage", "soon\n")], Metrics::default()),
            (&[("cpu/cpu.stat", "\nnr_periods\nnr_throttled -1\n")], cpu),
            (
                &[("blkio/blkio.throttle.io_serviced", "Total 0\n8:0\n8:0 Read\n8:0 Read x\n:\n")],
                blkio,
            ),
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

    #[test]
    fn times_that_are_too_long_stay_at_the_end() {
        let files = [
            ("cpuacct/cpuacct.usage", "1\n"),
            ("cpuacct/cpuacct.stat", "user 18446744073709551615\n"),
        ];
        let usage = read_files(&files).cpu.unwrap().usage.unwrap();
        assert_eq!(usage.user, u64::MAX);
    }

    #[test]
    fn kills_are_counted_by_the_memory_group() {
        for (text, want) in [
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
            ("oom_kill_disable 0\nunder_oom 1\n", 0),
            ("oom_kill x\n", 0),
            ("", 0),
        ] {
            let (_top, directories) = host(&[("memory/memory.oom_control", text)]);
            assert_eq!(oom_kills(&directories), want, "{text:?}");
        }
        let (top, directories) = host(&[]);
        drop(top);
        assert_eq!(oom_kills(&directories), 0);
    }
}
