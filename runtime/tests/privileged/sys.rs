//! The one call of these tests that the compiler cannot check.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes a descriptor that recvmsg(2) has just delivered.
pub fn own_received(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel made it for the message that the caller received, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
