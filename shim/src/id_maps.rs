//! User namespaces with given maps, to be had as a descriptor.
//!
//! To be called in a process of its own: it waits for a child.

use crate::error::{Code, Failure, Result, Tried};
use crate::sys;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Maps as /proc/PID/uid_map takes them, of containerd's `0:65536:65536,…`: inside, outside, size.
///
/// # Errors
/// It is something else, or a range of size 0.
pub fn lines(map: &str) -> Result<String> {
    let is_range = |range: &str| {
        let numbers: Vec<Option<u32>> = range.split(':').map(|text| text.parse().ok()).collect();
        matches!(numbers[..], [Some(_), Some(_), Some(1..)])
    };
    if map.split(',').all(is_range) {
        return Ok(map.replace(':', " ").replace(',', "\n") + "\n");
    }
    let message = format!("ID map {map:?}: it is not INSIDE:OUTSIDE:SIZE, with commas between");
    Err(Failure::new(Code::InvalidArgument, message))
}

/// A user namespace with these maps, in which there is no process. The maps are lines.
///
/// # Errors
/// The kernel has no such namespaces, or refuses the maps.
pub fn namespace(uids: &str, gids: &str) -> Result<File> {
    let what = Path::new("a user namespace");
    let (mut here, mut there) = UnixStream::pair().tried("make", what)?;
    let child = sys::in_child(|| {
        let errno = unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as u8);
        drop(there.write_all(&[errno]));
        // Until the namespace has been opened, or its maker has ended.
        sys::close_all_but(&[there.as_fd()]);
        drop(there.read(&mut [0]));
        0
    });
    let child = child.tried("make", what)?;
    drop(there);
    let made = open(&mut here, child.as_raw(), uids, gids);
    drop(here);
    waitpid(child, None).ok();
    made
}

fn open(child: &mut UnixStream, pid: i32, uids: &str, gids: &str) -> Result<File> {
    let mut errno = [0];
    child.read_exact(&mut errno).tried("make", Path::new("a user namespace"))?;
    if errno != [0] {
        let error = std::io::Error::from_raw_os_error(errno[0].into());
        return Err(error).tried("make", Path::new("a user namespace"));
    }
    for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, map).tried(&format!("write {map:?} to"), Path::new(&path))?;
    }
    let path = format!("/proc/{pid}/ns/user");
    File::open(&path).tried("open", Path::new(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_as_containerd_writes_them() {
        for (map, want) in [
            ("0:65536:65536", Some("0 65536 65536\n")),
            ("0:9:1,1:4294967295:3", Some("0 9 1\n1 4294967295 3\n")),
            ("", None),
            ("0:9", None),
            ("0:9:0", None),
            ("0:9:1:", None),
            ("0:-9:1", None),
            ("0:9:1,", None),
            ("0:9:1\n1:2:3", None),
        ] {
            assert_eq!(lines(map).ok().as_deref(), want, "{map:?}");
        }
    }
}
