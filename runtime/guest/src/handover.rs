//! What `wamr-crun` leaves in open descriptors: the plan and the module.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use wamr_plan::PlanRef;

use crate::failure::Failure;
use crate::sys::{self, Access, Mapping};

/// The mapped plan; dropping it gives its memory back.
pub struct PlanFile(Mapping);

/// Maps the plan whose descriptor the program's first argument names, and closes the descriptor.
///
/// # Errors
/// [`Failure::Usage`] if no number is there; else what fstat(2) or mmap(2) said.
pub fn read_plan(argument: Option<&CStr>) -> Result<PlanFile, Failure> {
    let number = argument.ok_or(Failure::Usage)?.to_str().map_err(|_| Failure::Usage)?;
    let fd = number.parse().ok().filter(|fd| *fd >= 0).ok_or(Failure::Usage)?;
    let mapping = sys::map_file_and_close(fd, Access::Read)
        .map_err(|error| Failure::step(format!("read the plan from descriptor {fd}"), error))?;
    Ok(PlanFile(mapping))
}

impl PlanFile {
    /// The plan in the mapped bytes.
    ///
    /// # Errors
    /// The bytes are not a plan of this version.
    pub fn parse(&self) -> Result<PlanRef<'_>, Failure> {
        PlanRef::parse(self.0.bytes()).map_err(|error| Failure::step("read the plan", error))
    }
}

/// Maps the module, and closes its descriptor.
///
/// The mapping is private and writable: WAMR edits the bytes in place. The pages that it leaves
/// alone stay those of the page cache, shared with every container of the same image.
///
/// # Errors
/// What fstat(2) or mmap(2) said.
pub fn map_module(fd: u32) -> Result<Mapping, Failure> {
    let mapped = known(fd).and_then(|fd| sys::map_file_and_close(fd, Access::PrivateWrite));
    mapped.map_err(|error| Failure::step(format!("map the module from descriptor {fd}"), error))
}

/// Takes the open module over as it is.
///
/// # Errors
/// What fcntl(2) said.
pub fn take_module(fd: u32) -> Result<OwnedFd, Failure> {
    let taken = known(fd).and_then(sys::take);
    taken.map_err(|error| Failure::step(format!("map the module from descriptor {fd}"), error))
}

fn known(fd: u32) -> io::Result<i32> {
    i32::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))
}
