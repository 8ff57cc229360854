//! `/proc/meminfo`, the processors' lists of `/proc/zoneinfo`, the sockets' memory, and the lab's
//! own memory, kept open: a reading makes no process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use wamr_record::sample::{Meminfo, MeminfoSource};

use crate::smaps::parse_rollup;

/// The open files.
#[derive(Debug)]
pub struct MeminfoFile {
    meminfo: File,
    zoneinfo: File,
    /// Absent on a kernel without IPv4.
    sockstat: Option<File>,
    own_rollup: File,
}

impl MeminfoFile {
    /// Opens `meminfo` and `zoneinfo` below a mounted procfs.
    ///
    /// # Errors
    /// As open(2) fails.
    pub fn open(proc_root: &Path) -> io::Result<Self> {
        let open = |name: &str| File::open(proc_root.join(name));
        Ok(Self {
            meminfo: open("meminfo")?,
            zoneinfo: open("zoneinfo")?,
            // Both are of this process, wherever the node's procfs is; the kernel counts the
            // memory of sockets for all network namespaces together.
            sockstat: File::open("/proc/net/sockstat").ok(),
            own_rollup: File::open("/proc/self/smaps_rollup")?,
        })
    }

    /// Reads them anew, one right after the other: pages move between the two.
    ///
    /// # Errors
    /// As pread(2) fails; `InvalidData` if a line that is needed is missing.
    pub fn read(&self) -> io::Result<Meminfo> {
        let mut text = [0_u8; 8192];
        let length = self.meminfo.read_at(&mut text, 0)?;
        let zones = read_whole(&self.zoneinfo)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let meminfo = parse(&text).map_err(|line| {
            io::Error::new(io::ErrorKind::InvalidData, format!("/proc/meminfo has no {line}"))
        })?;
        let page_bytes = page_bytes()?;
        let sockstat = self.sockstat.as_ref().map(read_whole).transpose()?.unwrap_or_default();
        let own = read_whole(&self.own_rollup)?;
        let own = parse_rollup(&String::from_utf8_lossy(&own)).unwrap_or_default();
        Ok(Meminfo {
            per_cpu_lists_bytes: list_pages(&String::from_utf8_lossy(&zones)) * page_bytes,
            sockets_bytes: socket_pages(&String::from_utf8_lossy(&sockstat)) * page_bytes,
            // Its file pages are in the page cache before the first baseline.
            lab_bytes: own.pss_bytes.saturating_sub(own.pss_file_bytes),
            ..meminfo
        })
    }
}

/// All of a proc file that is longer than one read returns.
fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let mut text = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        if length == text.len() {
            text.resize(2 * length, 0);
        }
        match file.read_at(&mut text[length..], length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    text.truncate(length);
    Ok(text)
}

/// Free pages in the lists of single processors: every `count:` of the pagesets.
///
/// Source: mm/vmstat.c, `zoneinfo_show_print`.
fn list_pages(zoneinfo: &str) -> u64 {
    let counts = zoneinfo.lines().filter_map(|line| line.trim().strip_prefix("count:"));
    counts.filter_map(|count| count.trim().parse::<u64>().ok()).sum()
}

/// Pages that TCP and UDP have set aside: the number after `mem`.
///
/// Source: net/ipv4/proc.c, `sockstat_seq_show`.
fn socket_pages(sockstat: &str) -> u64 {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == "mem")?;
        words.next()?.parse::<u64>().ok()
    };
    sockstat.lines().filter_map(of_line).sum()
}

fn page_bytes() -> io::Result<u64> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "the page size is unknown");
    size.and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(unknown)
}

/// Parses the text.
///
/// # Errors
/// The name of a line that is missing or no number.
///
/// Source: proc_meminfo(5). "kB" there means 1024 bytes.
pub fn parse(text: &str) -> Result<Meminfo, &'static str> {
    let bytes = |name: &'static str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or(name)
    };
    Meminfo::try_from_fields(|field| match field.source {
        MeminfoSource::Line(name) => bytes(name),
        MeminfoSource::LaterLine(name) => Ok(bytes(name).unwrap_or(0)),
        MeminfoSource::Elsewhere => Ok(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
MemTotal:       24683752 kB
MemFree:        23000000 kB
MemAvailable:   23900000 kB
Buffers:            1234 kB
Cached:           200000 kB
SwapCached:            7 kB
AnonPages:         90000 kB
Shmem:              8000 kB
KReclaimable:      50000 kB
Slab:              70000 kB
SReclaimable:      50000 kB
SUnreclaim:        20000 kB
KernelStack:        3000 kB
PageTables:         2000 kB
SecPageTables:         4 kB
VmallocTotal:   34359738367 kB
VmallocUsed:       18820 kB
Percpu:             1000 kB
HugePages_Total:       0
";

    #[test]
    fn lines_are_found_by_their_whole_name() {
        let meminfo = parse(TEXT).unwrap();
        assert_eq!(meminfo.total_bytes, 24_683_752 * 1024);
        // "SwapCached" and "KReclaimable" end alike.
        assert_eq!(meminfo.cached_bytes, 200_000 * 1024);
        assert_eq!(meminfo.slab_reclaimable_bytes, 50_000 * 1024);
        assert_eq!(meminfo.percpu_bytes, 1000 * 1024);
        assert_eq!(meminfo.page_tables_bytes, 2000 * 1024);
        assert_eq!(meminfo.vmalloc_bytes, 18_820 * 1024);
        let older = parse(&TEXT.replace("SecPageTables:         4 kB\n", "")).unwrap();
        assert_eq!(
            (meminfo.secondary_page_tables_bytes, older.secondary_page_tables_bytes),
            (4096, 0)
        );
    }

    #[test]
    fn the_lists_of_all_zones_and_processors_add_up() {
        let zoneinfo = "\
Node 0, zone    DMA32
  pages free     714213
  pagesets
    cpu: 0
              count:    63
              high:     2500
  vm stats threshold: 48
Node 0, zone   Normal
    cpu: 0
              count:    1000
    cpu: 1
              count:    7
";
        assert_eq!(list_pages(zoneinfo), 1070);
    }

    #[test]
    fn sockets_of_all_protocols_add_up() {
        let sockstat = "\
sockets: used 131
TCP: inuse 27 orphan 0 tw 12 alloc 30 mem 9
UDP: inuse 3 mem 2
UDPLITE: inuse 0
FRAG: inuse 0 memory 77
";
        assert_eq!((socket_pages(sockstat), socket_pages("")), (11, 0));
    }

    #[test]
    fn a_missing_or_broken_line_is_named() {
        assert_eq!(parse(""), Err("MemTotal"));
        assert_eq!(parse(&TEXT.replace("Percpu:", "Per:")), Err("Percpu"));
        assert_eq!(parse(&TEXT.replace(" 1234 kB", " many kB")), Err("Buffers"));
    }

    #[test]
    fn this_machine_can_be_read() {
        let file = MeminfoFile::open(Path::new("/proc")).unwrap();
        let meminfo = file.read().unwrap();
        assert!(meminfo.free_bytes <= meminfo.total_bytes);
        assert!((1..meminfo.total_bytes).contains(&meminfo.lab_bytes), "{meminfo:?}");
    }
}
