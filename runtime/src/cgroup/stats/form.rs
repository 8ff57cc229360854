//! The forms in which the kernel prints counts. Pure, but for [`text`] and what reads through it.

use super::{BlkioEntry, Pressure, RdmaEntry, Stalls};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The text of `file`; empty if there is none.
pub fn text(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap_or_default()
}

/// The single number of `file`; `max` is 2^64-1, and 0 stands for a missing file.
pub fn number(directory: &Path, file: &str) -> u64 {
    match text(directory, file).trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// Lines of `key number`.
pub fn keyed(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// A list such as `0-2,7`.
pub fn list(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            // No machine has more; a wild range must not fill the memory.
            found.extend(first..=last.min(first.saturating_add(65_535)));
        }
    }
    found
}

/// cpu.pressure and its like; `None` on a kernel without them.
pub fn pressure(text: &str) -> Option<Pressure> {
    let mut found = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut stalls = Stalls::default();
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => stalls.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => stalls.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => stalls.avg300 = value.parse().unwrap_or(0.0),
                "total" => stalls.total = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let pressure: &mut Pressure = found.get_or_insert_default();
        match kind {
            "some" => pressure.some = stalls,
            "full" => pressure.full = stalls,
            _ => {}
        }
    }
    found
}

/// `MAJOR:MINOR` as two numbers.
pub fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// v1's `MAJOR:MINOR Operation number` lines; the line `Total number` at the end is left out.
pub fn blkio_v1(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = device(words.next()?)?;
        let op = words.next()?.to_owned();
        Some(BlkioEntry { major, minor, op, value: words.next()?.parse().ok()? })
    };
    text.lines().filter_map(entry).collect()
}

/// v2's io.stat: bytes and requests.
pub fn io_stat(text: &str) -> (Vec<BlkioEntry>, Vec<BlkioEntry>) {
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut bytes, "Read"),
                "wbytes" => (&mut bytes, "Write"),
                "dbytes" => (&mut bytes, "Discard"),
                "rios" => (&mut requests, "Read"),
                "wios" => (&mut requests, "Write"),
                "dios" => (&mut requests, "Discard"),
                _ => continue,
            };
            let value = value.parse().unwrap_or(0);
            list.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
    (bytes, requests)
}

/// rdma.current and rdma.max: `DEVICE hca_handle=N hca_object=max`.
pub fn rdma(text: &str) -> Vec<RdmaEntry> {
    let entry = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let value = |name: &str| {
            let words = rest.split(' ').filter_map(|word| word.split_once('='));
            words.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
        };
        Some(RdmaEntry {
            device: device.to_owned(),
            hca_handles: value("hca_handle"),
            hca_objects: value("hca_object"),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// The sizes of huge pages for which `directory` has a file `hugetlb.SIZE.{suffix}`.
pub fn huge_page_sizes(directory: &Path, suffix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |name: &str| {
        let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?.strip_suffix('.')?;
        (!size.contains('.')).then(|| size.to_owned())
    };
    entries.filter_map(|entry| size(entry.file_name().to_str()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        for (text, want) in [("0-2,7\n", vec![0, 1, 2, 7]), ("\n", vec![]), ("x,3-1,4", vec![4])] {
            assert_eq!(list(text), want, "{text:?}");
        }
        assert!(list("0-4294967295").len() <= 65_536);
    }

    #[test]
    fn pressure_as_the_kernel_prints_it() {
        let text = "some avg10=0.50 avg60=1.25 avg300=0.00 total=1234\n\
            full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n";
        let got = pressure(text).unwrap();
        assert_eq!((got.some.total, got.full.total), (1234, 99));
        assert!((got.some.avg60 - 1.25).abs() < 1e-9);
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn block_devices_on_both_versions() {
        let want = BlkioEntry { major: 8, minor: 16, op: "Read".into(), value: 4096 };
        let v1 = blkio_v1("8:16 Read 4096\n8:16 Write 0\nTotal 4096\n");
        assert_eq!((v1.len(), &v1[0]), (2, &want));
        let (bytes, requests) = io_stat("8:16 rbytes=4096 wbytes=1 rios=3 wios=0 dbytes=0 dios=0");
        assert_eq!((bytes.len(), &bytes[0], requests[0].value), (3, &want, 3));
    }

    #[test]
    fn rdma_without_a_limit() {
        let got = rdma("mlx4_0 hca_handle=2 hca_object=max\n");
        assert_eq!(got[0].device, "mlx4_0");
        assert_eq!((got[0].hca_handles, got[0].hca_objects), (Some(2), None));
    }

    #[test]
    fn sizes_of_huge_pages() {
        let group = tempfile::tempdir().unwrap();
        for name in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "memory.max"] {
            fs::write(group.path().join(name), "").unwrap();
        }
        assert_eq!(huge_page_sizes(group.path(), "max"), ["2MB"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_wild(text in "[a-z0-9:=., \\-\n]{0,200}") {
            drop((keyed(&text), list(&text), pressure(&text), blkio_v1(&text)));
            drop((io_stat(&text), rdma(&text)));
        }
    }
}
