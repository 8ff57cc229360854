//! Forms of cgroup v1 alone; its files are each in the directory of its controller.

use crate::file::{counts, number, text};
use crate::form;
use std::io;
use std::path::Path;

/// The kernel counts the time of the two modes in ticks of this length.
const TICK_NS: u64 = 10_000_000;

/// Processor time in nanoseconds: cpuacct.usage, cpuacct.stat, cpuacct.usage_percpu.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// In all.
    pub total_ns: u64,
    /// Outside the kernel.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// By CPU.
    pub per_cpu_ns: Vec<u64>,
}

/// `None` without cpuacct.usage.
///
/// # Errors
/// Those of [`text`].
pub fn cpu_usage(directory: &Path) -> io::Result<Option<CpuUsage>> {
    let Some(total_ns) = number(directory, "cpuacct.usage")? else { return Ok(None) };
    let modes = counts(directory, "cpuacct.stat")?.unwrap_or_default();
    let time_ns = |mode| modes.or_zero(mode).saturating_mul(TICK_NS);
    let (user_ns, system_ns) = (time_ns("user"), time_ns("system"));
    let per_cpu = text(directory, "cpuacct.usage_percpu")?.unwrap_or_default();
    let per_cpu_ns = per_cpu.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    Ok(Some(CpuUsage { total_ns, user_ns, system_ns, per_cpu_ns }))
}

/// One kind of memory in bytes, each `None` where the kernel does not count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryEntry {
    /// The most it may be.
    pub limit: Option<u64>,
    /// What it is.
    pub usage: Option<u64>,
    /// The most it has been.
    pub max_usage: Option<u64>,
    /// How often the limit was met.
    pub failcnt: Option<u64>,
}

/// The files that begin with `prefix`: `memory`, `memory.memsw` (memory with swap), `memory.kmem`
/// (the kernel's objects) or `memory.kmem.tcp` (socket buffers).
///
/// # Errors
/// Those of [`text`].
pub fn memory_entry(directory: &Path, prefix: &str) -> io::Result<MemoryEntry> {
    let number = |name: &str| number(directory, &format!("{prefix}.{name}"));
    Ok(MemoryEntry {
        limit: number("limit_in_bytes")?,
        usage: number("usage_in_bytes")?,
        max_usage: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

/// One block device and kind of request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlkioEntry {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// `Read`, `Write`, ...
    pub op: String,
    /// Bytes or requests, as the file has them.
    pub value: u64,
}

/// A file of lines `MAJOR:MINOR operation number`; the sum in the last one has no device.
///
/// Which files there are is a matter of kernel and scheduler: the throttler's
/// (`blkio.throttle.io_serviced`) are on every kernel, those that count sub-groups too
/// (`..._recursive`) came later, a scheduler's are there where it is in charge.
///
/// # Errors
/// Those of [`text`].
pub fn blkio(directory: &Path, file: &str) -> io::Result<Option<Vec<BlkioEntry>>> {
    Ok(text(directory, file)?.map(|text| text.lines().filter_map(blkio_entry).collect()))
}

fn blkio_entry(line: &str) -> Option<BlkioEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = form::device(words.next()?)?;
    let op = words.next()?;
    let value = words.next()?.parse().ok()?;
    Some(BlkioEntry { major, minor, op: op.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for (file, text) in files {
            fs::write(top.path().join(file), text).unwrap();
        }
        top
    }

    #[test]
    fn processor_time() {
        let per_cpu_ns = vec![2000, 3000];
        let usual =
            CpuUsage { total_ns: 5000, user_ns: 30_000_000, system_ns: 10_000_000, per_cpu_ns };
        for (usage, stat, per_cpu, want) in [
            ("5000\n", "user 3\nsystem 1\n", "2000 3000 \n", Some(usual)),
            ("0\n", "user x\n", "", Some(CpuUsage::default())),
            ("soon\n", "user 3\n", "", None),
            (
                "1\n",
                "user 18446744073709551615\n",
                "x 1\n",
                Some(CpuUsage {
                    total_ns: 1,
                    user_ns: u64::MAX,
                    system_ns: 0,
                    per_cpu_ns: vec![0, 1],
                }),
            ),
        ] {
            let top = group(&[
                ("cpuacct.usage", usage),
                ("cpuacct.stat", stat),
                ("cpuacct.usage_percpu", per_cpu),
            ]);
            assert_eq!(cpu_usage(top.path()).unwrap(), want, "{usage:?} {stat:?}");
        }
    }

    #[test]
    fn memory_by_prefix() {
        let top = group(&[
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.memsw.limit_in_bytes", "9223372036854771712\n"),
            ("memory.memsw.max_usage_in_bytes", "8193\n"),
            ("memory.memsw.failcnt", "7\n"),
        ]);
        let entry = |prefix| memory_entry(top.path(), prefix).unwrap();
        let usage = Some(4096);
        assert_eq!(entry("memory"), MemoryEntry { usage, ..MemoryEntry::default() });
        let limit = Some(9_223_372_036_854_771_712);
        let swap = MemoryEntry { limit, usage: None, max_usage: Some(8193), failcnt: Some(7) };
        assert_eq!(entry("memory.memsw"), swap);
        assert_eq!(entry("memory.kmem"), MemoryEntry::default());
    }

    #[test]
    fn block_devices() {
        let read = BlkioEntry { major: 8, minor: 16, op: "Read".to_owned(), value: 4096 };
        let write = BlkioEntry { op: "Write".to_owned(), value: 0, ..read.clone() };
        for (text, want) in [
            ("8:16 Read 4096\n8:16 Write 0\nTotal 4096\n", vec![read, write]),
            ("Total 0\n8:0\n8:0 Read\n8:0 Read x\n:\n", vec![]),
        ] {
            let top = group(&[("blkio.throttle.io_serviced", text)]);
            let got = blkio(top.path(), "blkio.throttle.io_serviced").unwrap();
            assert_eq!(got, Some(want), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_wild(line in "[a-z0-9:=., \\-]{0,50}") {
            drop(blkio_entry(&line));
        }
    }
}
