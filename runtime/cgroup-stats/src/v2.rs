//! Forms of cgroup v2 alone.

use crate::file::text;
use crate::form;
use std::io;
use std::path::Path;

/// One block device of io.stat: bytes and requests that were read, written and discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Device {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// Bytes read.
    pub rbytes: Option<u64>,
    /// Bytes written.
    pub wbytes: Option<u64>,
    /// Requests to read.
    pub rios: Option<u64>,
    /// Requests to write.
    pub wios: Option<u64>,
    /// Bytes discarded.
    pub dbytes: Option<u64>,
    /// Requests to discard.
    pub dios: Option<u64>,
}

/// The devices of io.stat, without those that have counted nothing.
///
/// # Errors
/// Those of [`text`].
pub fn io(directory: &Path) -> io::Result<Option<Vec<Device>>> {
    Ok(text(directory, "io.stat")?.map(|text| text.lines().filter_map(device).collect()))
}

/// `MAJOR:MINOR name=number ...`
fn device(line: &str) -> Option<Device> {
    let mut words = line.split_whitespace();
    let (major, minor) = form::device(words.next()?)?;
    let mut device = Device { major, minor, ..Device::default() };
    // The kernel prints no more than the number of a device that has nothing to tell.
    let mut counted = false;
    for (name, number) in words.filter_map(|word| word.split_once('=')) {
        let count = match name {
            "rbytes" => &mut device.rbytes,
            "wbytes" => &mut device.wbytes,
            "rios" => &mut device.rios,
            "wios" => &mut device.wios,
            "dbytes" => &mut device.dbytes,
            "dios" => &mut device.dios,
            _ => continue,
        };
        *count = Some(number.parse().unwrap_or(0));
        counted = true;
    }
    counted.then_some(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn block_devices() {
        let zero = Some(0);
        let disk = Device {
            major: 254,
            minor: 0,
            rbytes: Some(4096),
            wbytes: Some(512),
            rios: Some(3),
            wios: Some(1),
            dbytes: Some(9),
            dios: zero,
        };
        let odd = Device {
            major: 8,
            minor: 1,
            rbytes: zero,
            wbytes: zero,
            rios: Some(2),
            wios: zero,
            ..Device::default()
        };
        for (text, want) in [
            ("254:0 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=9 dios=0\n7:1 \n", vec![disk]),
            ("8:x rbytes=1\n8 rbytes=1\n:\n8:1 rbytes\n(unknown) rios=1\n\n", vec![]),
            ("8:1 rbytes=max wbytes= wios=-1 rios=2 wios=x=1\n", vec![odd]),
        ] {
            let top = tempfile::tempdir().unwrap();
            fs::write(top.path().join("io.stat"), text).unwrap();
            assert_eq!(io(top.path()).unwrap(), Some(want), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_wild(line in "[a-z0-9:=., \\-]{0,50}") {
            std::hint::black_box(device(&line));
        }
    }
}
