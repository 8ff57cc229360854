//! Which directories of a plan the guest gets.

use std::ffi::CStr;

use crate::failure::Failure;
use crate::sys;

/// Whether the directory opens for the container's user. One that does not is left out: the guest
/// could not have used it either.
///
/// # Errors
/// The directory is missing, or what else open(2) said.
pub fn can_open(container: &CStr) -> Result<bool, Failure> {
    match sys::open_directory_and_close(container) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(false),
        Err(error) => {
            let path = container.to_string_lossy();
            Err(Failure::step(format!("open {path} for the guest as a directory"), error))
        }
    }
}
