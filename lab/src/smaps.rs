//! `/proc/PID/smaps` and `smaps_rollup`. Pure: text in, numbers out.

use std::collections::BTreeMap;

/// The sums of `smaps_rollup` that are kept, in bytes.
///
/// Source: proc_pid_smaps(5), Documentation/ABI/testing/procfs-smaps_rollup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Rss
    pub rss_bytes: u64,
    /// Pss
    pub pss_bytes: u64,
    /// Pss_Anon
    pub pss_anon_bytes: u64,
    /// Pss_File
    pub pss_file_bytes: u64,
    /// Private_Clean
    pub private_clean_bytes: u64,
    /// Private_Dirty
    pub private_dirty_bytes: u64,
}

/// Parses `smaps_rollup`; `None` if a line is missing, as for a kernel thread or a dying process.
pub fn parse_rollup(text: &str) -> Option<Rollup> {
    let bytes = |name: &str| text.lines().find_map(|line| field_bytes(line, name));
    Some(Rollup {
        rss_bytes: bytes("Rss")?,
        pss_bytes: bytes("Pss")?,
        pss_anon_bytes: bytes("Pss_Anon")?,
        pss_file_bytes: bytes("Pss_File")?,
        private_clean_bytes: bytes("Private_Clean")?,
        private_dirty_bytes: bytes("Private_Dirty")?,
    })
}

/// Private bytes (clean and dirty) of `smaps` by mapping: a path, `[heap]`, `[stack]`, or `[anon]`
/// for a mapping without a name. Mappings without private memory are left out.
pub fn private_by_mapping(text: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let mut name = "[anon]".to_owned();
    for line in text.lines() {
        if let Some(mapping) = Mapping::parse(line) {
            name.clear();
            name += if mapping.name.is_empty() { "[anon]" } else { mapping.name };
            continue;
        }
        let bytes = ["Private_Clean", "Private_Dirty"]
            .iter()
            .find_map(|field| field_bytes(line, field))
            .unwrap_or(0);
        if bytes > 0 {
            *sums.entry(name.clone()).or_insert(0) += bytes;
        }
    }
    sums
}

/// The files that `maps` shows mapped executable, each once.
pub fn executable_files(text: &str) -> Vec<String> {
    let mut files: Vec<String> = text
        .lines()
        .filter_map(Mapping::parse)
        .filter(|mapping| mapping.executable && mapping.name.starts_with('/'))
        .map(|mapping| mapping.name.to_owned())
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The head line of a mapping, the same in maps and smaps.
struct Mapping<'a> {
    executable: bool,
    name: &'a str,
}

impl<'a> Mapping<'a> {
    /// `7f00-7f10 r-xp 00000000 08:01 1234    /usr/lib/libx.so`
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut words = [""; 5];
        for word in &mut words {
            let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
            (*word, rest) = (first, tail);
        }
        let [range, permissions, ..] = words;
        let (begin, end) = range.split_once('-')?;
        let is_hex =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !(is_hex(begin) && is_hex(end) && permissions.len() == 4) {
            return None;
        }
        Some(Self { executable: permissions.as_bytes()[2] == b'x', name: rest.trim_start() })
    }
}

/// `Name:   12 kB` as bytes.
fn field_bytes(line: &str, name: &str) -> Option<u64> {
    let kib = line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
00400000-00410000 r-xp 00000000 00:1b 100        /
Rss:                  64 kB
Private_Clean:        60 kB
Private_Dirty:         4 kB
00700000-00720000 rw-p 00000000 00:00 0          [heap]
Private_Clean:         0 kB
Private_Dirty:       100 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n\
Private_Clean:         0 kB
Private_Dirty:        40 kB
7f0000020000-7f0000030000 rw-p 00000000 00:00 0
Private_Dirty:         8 kB
7f0000040000-7f0000050000 r-xp 00001000 08:01 7   /usr/lib/my lib.so (deleted)
Private_Clean:         0 kB
7f0000040000-7f0000050000 r--p 00000000 08:01 7   /usr/lib/my lib.so (deleted)
7f0000060000-7f0000070000 r-xp 00000000 00:00 0   [vdso]
";

    #[test]
    fn private_memory_is_summed_by_name() {
        let sums = private_by_mapping(SMAPS);
        let kib: Vec<(&str, u64)> =
            sums.iter().map(|(name, bytes)| (name.as_str(), bytes / 1024)).collect();
        assert_eq!(kib, [("/", 64), ("[anon]", 48), ("[heap]", 100)]);
    }

    #[test]
    fn only_files_mapped_executable_are_programs() {
        assert_eq!(executable_files(SMAPS), ["/", "/usr/lib/my lib.so (deleted)"]);
    }

    #[test]
    fn rollup_needs_every_line() {
        let text = "00400000-7fff00000000 ---p 00000000 00:00 0      [rollup]\n\
            Rss:     500 kB\nPss:     300 kB\nPss_Dirty: 9 kB\nPss_Anon: 100 kB\n\
            Pss_File: 200 kB\nPss_Shmem: 0 kB\nPrivate_Clean: 20 kB\nPrivate_Dirty: 80 kB\n";
        let rollup = parse_rollup(text).unwrap();
        assert_eq!((rollup.pss_bytes, rollup.private_dirty_bytes), (300 * 1024, 80 * 1024));
        assert_eq!(parse_rollup(&text.replace("Pss_File", "Pss_Fish")), None);
        assert_eq!(parse_rollup(""), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let rollup = parse_rollup(&rollup).unwrap();
        assert!(rollup.private_dirty_bytes <= rollup.rss_bytes);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(executable_files(&maps).iter().any(|file| file.contains("libc")));
    }
}
