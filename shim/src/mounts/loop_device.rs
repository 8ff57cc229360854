//! Files that are mounted by a loop device: those of the snapshotters `blockfile` and `erofs`.

use crate::error::{Code, Failure, Result, Tried};
use crate::sys::mount::{LoopFlags, configure_loop, free_loop};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Another process may take the device that the kernel calls free.
const ATTEMPTS: u32 = 100;

/// A device that shows a file. It is free again when nothing is mounted from it and this is gone.
#[derive(Debug)]
pub struct LoopDevice {
    /// `/dev/loop7`
    pub path: PathBuf,
    _open: File,
}

/// How a device is to show its file.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Nobody may write to it.
    pub read_only: bool,
    /// Around the page cache.
    pub direct_io: bool,
}

/// Has a loop device show `file`.
///
/// # Errors
/// There is no such file, no device, or no support by the kernel.
pub fn attach(file: &Path, access: Access) -> Result<LoopDevice> {
    let open = |path: &Path| OpenOptions::new().read(true).write(!access.read_only).open(path);
    let backing = open(file).tried("open", file)?;
    let control = Path::new("/dev/loop-control");
    let control_file =
        OpenOptions::new().read(true).write(true).open(control).tried("open", control)?;
    let flags = LoopFlags { read_only: access.read_only, direct_io: access.direct_io };
    for attempt in 0..ATTEMPTS {
        let number = free_loop(&control_file).tried("ask for a free device", control)?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&path).tried("open", &path)?;
        match configure_loop(&device, &backing, file, flags) {
            Ok(()) => return Ok(LoopDevice { path, _open: device }),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                sleep(Duration::from_millis(u64::from(attempt)));
            }
            Err(error) => {
                let what = format!("show {} by", file.display());
                return Err(error).tried(&what, &path);
            }
        }
    }
    let message = format!("no loop device for {}: others took all that were free", file.display());
    Err(Failure::new(Code::Unknown, message))
}
