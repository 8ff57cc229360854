//! Descriptors that stay open when the program is replaced.
//!
//! All descriptors of this program close with it. Those that the state names are let through just
//! before, and the next program takes each of them once. One that is not let through is none of
//! its own.

use crate::error::{Result, Tried};
use crate::sys;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Those that are to stay open.
#[derive(Debug, Default)]
pub struct Kept<'a>(Vec<BorrowedFd<'a>>);

impl<'a> Kept<'a> {
    /// One more: its number, for the state.
    pub fn keep(&mut self, fd: &'a impl AsFd) -> u32 {
        let fd = fd.as_fd();
        self.0.push(fd);
        fd.as_raw_fd() as u32
    }

    /// One more, if there is one.
    pub fn keep_any(&mut self, fd: Option<&'a impl AsFd>) -> Option<u32> {
        fd.map(|fd| self.keep(fd))
    }

    /// Whether a new program gets them.
    ///
    /// # Errors
    /// None that is known of.
    pub fn let_through(&self, is_open: bool) -> Result<()> {
        let flags = if is_open { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
        for fd in &self.0 {
            fcntl(fd, FcntlArg::F_SETFD(flags)).tried("keep a descriptor of", own())?;
        }
        Ok(())
    }
}

/// Takes one that was let through: nobody else can.
///
/// # Errors
/// There is none of that number, or somebody has taken it.
pub fn claim<T: From<OwnedFd>>(number: u32) -> Result<T> {
    let claimed = sys::claim(number).map(T::from);
    claimed.tried(&format!("take the descriptor {number} over in"), own())
}

/// As [`claim`], if there is one.
///
/// # Errors
/// As [`claim`].
pub fn claim_any<T: From<OwnedFd>>(number: Option<u32>) -> Result<Option<T>> {
    number.map(claim).transpose()
}

fn own() -> &'static Path {
    Path::new("/proc/self")
}

#[test]
fn what_is_let_through_is_taken_once() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut kept = Kept::default();
    let number = kept.keep(&file);
    claim::<OwnedFd>(number).unwrap_err();
    kept.let_through(true).unwrap();
    kept.let_through(false).unwrap();
    claim::<OwnedFd>(number).unwrap_err();
    kept.let_through(true).unwrap();
    let taken: std::fs::File = claim(number).unwrap();
    claim::<OwnedFd>(number).unwrap_err();
    // It is one descriptor, of which there are two owners here.
    std::mem::forget(taken);
    for number in [0, 1, 2, 9999, u32::MAX] {
        claim::<OwnedFd>(number).unwrap_err();
    }
}
