//! Thin wrappers of system calls that neither std nor nix offers, one function per call.
//!
//! The only place of this crate where `unsafe` is allowed. A wrapper checks nothing but the
//! status; what a call means stands at the place of use.

pub mod bpf;
pub mod fd;
pub mod mount;
pub mod prctl;
pub mod process;
pub mod regex;
pub mod scheduling;

use std::io;

/// A C status as a `Result`; reads `errno` before anything can overwrite it.
pub(crate) fn check(status: libc::c_long) -> io::Result<libc::c_long> {
    if status >= 0 { Ok(status) } else { Err(io::Error::last_os_error()) }
}
