//! Counts of cgroup v2, all in one directory.

mod message;

use message::{Cpu, Device, Io, Memory, MemoryEvents, Metrics, Pids};
use prost::Message;
use std::io;
use std::path::Path;
use wamr_cgroup_stats::{Counts, counts, number, v2 as files};

/// Reads the group in `directory` into an encoded message.
///
/// # Errors
/// A file that is there cannot be read.
pub fn read(directory: &Path) -> io::Result<Vec<u8>> {
    let memory = match counts(directory, "memory.stat")? {
        Some(stat) => Some(memory(directory, &stat)?),
        None => None,
    };
    let metrics = Metrics {
        pids: wamr_cgroup_stats::pids(directory)?.map(pids),
        cpu: counts(directory, "cpu.stat")?.as_ref().map(cpu),
        memory,
        io: files::io(directory)?.map(|devices| Io { usage: devices.iter().map(device).collect() }),
        memory_events: counts(directory, "memory.events")?.as_ref().map(events),
    };
    Ok(metrics.encode_to_vec())
}

fn pids(pids: wamr_cgroup_stats::Pids) -> Pids {
    Pids { current: pids.current, limit: pids.max.unwrap_or(0) }
}

fn cpu(stat: &Counts) -> Cpu {
    by_name!(stat, Cpu {
        usage_usec, user_usec, system_usec, nr_periods, nr_throttled, throttled_usec,
        nr_bursts, burst_usec;
    })
}

fn memory(directory: &Path, stat: &Counts) -> io::Result<Memory> {
    let size = |file: &str| number(directory, file);
    Ok(Memory {
        usage: size("memory.current")?.unwrap_or(0),
        // The top group has no limit, and containerd subtracts from it.
        usage_limit: size("memory.max")?.unwrap_or(u64::MAX),
        max_usage: size("memory.peak")?.unwrap_or(0),
        swap_usage: size("memory.swap.current")?.unwrap_or(0),
        swap_limit: size("memory.swap.max")?.unwrap_or(0),
        swap_max_usage: size("memory.swap.peak")?.unwrap_or(0),
        ..memory_stat(stat)
    })
}

fn memory_stat(stat: &Counts) -> Memory {
    by_name!(stat, Memory {
        anon, file, kernel_stack, slab, sock, shmem, file_mapped, file_dirty, file_writeback,
        anon_thp, inactive_anon, active_anon, inactive_file, active_file, unevictable,
        slab_reclaimable, slab_unreclaimable, pgfault, pgmajfault,
        workingset_refault, workingset_activate, workingset_nodereclaim,
        pgrefill, pgscan, pgsteal, pgactivate, pgdeactivate, pglazyfree, pglazyfreed,
        thp_fault_alloc, thp_collapse_alloc;
        ..Memory::default()
    })
}

fn events(events: &Counts) -> MemoryEvents {
    by_name!(events, MemoryEvents { low, high, max, oom, oom_kill; })
}

fn device(device: &files::Device) -> Device {
    Device {
        major: device.major.into(),
        minor: device.minor.into(),
        rbytes: device.rbytes.unwrap_or(0),
        wbytes: device.wbytes.unwrap_or(0),
        rios: device.rios.unwrap_or(0),
        wios: device.wios.unwrap_or(0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    /// The processor time in an encoded message.
    pub fn cpu_usec(value: &[u8]) -> Option<u64> {
        Metrics::decode(value).unwrap().cpu.map(|cpu| cpu.usage_usec)
    }

    fn read_files(files: &[(&str, &str)]) -> Metrics {
        let top = tempfile::tempdir().unwrap();
        for (file, text) in files {
            fs::write(top.path().join(file), text).unwrap();
        }
        Metrics::decode(read(top.path()).unwrap().as_slice()).unwrap()
    }

    /// As a 6.12 kernel prints them.
    const FILES: [(&str, &str); 12] = [
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        (
            "cpu.stat",
            "usage_usec 9000\nuser_usec 6000\nsystem_usec 3000\nnice_usec 0\n\
            core_sched.force_idle_usec 0\nnr_periods 8\nnr_throttled 2\nthrottled_usec 700\n\
            nr_bursts 1\nburst_usec 60\n",
        ),
        ("memory.current", "5242880\n"),
        ("memory.max", "8388608\n"),
        ("memory.peak", "6291456\n"),
        ("memory.swap.current", "4096\n"),
        ("memory.swap.max", "0\n"),
        ("memory.swap.peak", "8192\n"),
        ("memory.events", "low 0\nhigh 1\nmax 6\noom 2\noom_kill 1\noom_group_kill 0\n"),
        (
            "io.stat",
            "254:0 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=9 dios=9\n7:1 \n\
            8:16 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
        ),
        ("memory.stat", MEMORY_STAT),
    ];

    const MEMORY_STAT: &str = "anon 1\nfile 2\nkernel 77\nkernel_stack 3\npagetables 77\n\
        percpu 77\nsock 5\nvmalloc 77\nshmem 6\nzswap 77\nzswapped 77\nfile_mapped 7\n\
        file_dirty 8\nfile_writeback 9\nswapcached 77\nanon_thp 10\nfile_thp 77\nshmem_thp 77\n\
        inactive_anon 11\nactive_anon 12\ninactive_file 13\nactive_file 14\nunevictable 15\n\
        slab_reclaimable 16\nslab_unreclaimable 17\nslab 4\nworkingset_refault_anon 77\n\
        workingset_refault_file 77\nworkingset_nodereclaim 22\npgscan 24\npgsteal 25\n\
        pgfault 18\npgmajfault 19\npgrefill 23\npgactivate 26\npgdeactivate 27\n\
        pglazyfree 28\npglazyfreed 29\nthp_fault_alloc 30\nthp_collapse_alloc 31\n";

    #[test]
    fn a_group_as_a_6_12_kernel_shows_it() {
        let metrics = read_files(&FILES);
        assert_eq!(metrics.pids, Some(Pids { current: 3, limit: u64::MAX }));
        let cpu = Cpu {
            usage_usec: 9000,
            user_usec: 6000,
            system_usec: 3000,
            nr_periods: 8,
            nr_throttled: 2,
            throttled_usec: 700,
            nr_bursts: 1,
            burst_usec: 60,
        };
        assert_eq!(metrics.cpu, Some(cpu));
        let events = MemoryEvents { low: 0, high: 1, max: 6, oom: 2, oom_kill: 1 };
        assert_eq!(metrics.memory_events, Some(events));
        let disk = Device { major: 254, minor: 0, rbytes: 4096, wbytes: 512, rios: 3, wios: 1 };
        let other = Device { major: 8, minor: 16, rbytes: 1, rios: 1, ..Device::default() };
        assert_eq!(metrics.io, Some(Io { usage: vec![disk, other] }));
        let memory = metrics.memory.unwrap();
        assert_eq!((memory.usage, memory.usage_limit), (5 << 20, 8 << 20));
        assert_eq!((memory.swap_usage, memory.swap_limit), (4096, 0));
        assert_eq!((memory.max_usage, memory.swap_max_usage), (6 << 20, 8192));
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
        // All but workingset_refault and workingset_activate, which Linux 5.9 has split.
        assert_eq!(fields, 29);
    }

    #[test]
    fn what_is_missing_or_odd_is_left_out() {
        let odd = Device { major: 8, minor: 1, rios: 2, ..Device::default() };
        let unlimited = Memory { usage_limit: u64::MAX, ..Memory::default() };
        for (files, want) in [
            (&[][..], Metrics::default()),
            (&[("pids.max", "5\n"), ("memory.current", "5\n")], Metrics::default()),
            (
                &[("pids.current", "18446744073709551615\n"), ("pids.max", "-1\n")],
                Metrics { pids: Some(Pids { current: u64::MAX, limit: 0 }), ..Metrics::default() },
            ),
            (
                &[("memory.stat", "anon\n")],
                Metrics { memory: Some(unlimited), ..Metrics::default() },
            ),
            (
                &[("io.stat", "8:1 rbytes\n")],
                Metrics { io: Some(Io::default()), ..Metrics::default() },
            ),
            (
                &[("io.stat", "8:1 rios=2\n")],
                Metrics { io: Some(Io { usage: vec![odd] }), ..Metrics::default() },
            ),
            (
                &[("cpu.stat", "usage_usec -5\nsystem_usec  7 \n")],
                Metrics {
                    cpu: Some(Cpu { system_usec: 7, ..Cpu::default() }),
                    ..Metrics::default()
                },
            ),
        ] {
            assert_eq!(read_files(files), want, "{files:?}");
        }
    }
}
