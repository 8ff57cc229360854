//! How many descriptors this process may have. It starts with what containerd has, often 1024, and
//! takes more when it comes near that; the containers' programs start with what was there before.

use crate::sys;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

/// The limit, and whether it was raised.
#[derive(Debug)]
pub struct OpenFiles {
    soft: u64,
    hard: u64,
    is_raised: bool,
}

impl OpenFiles {
    /// The limit that this process was started with.
    pub fn inherited() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        Self { soft, hard, is_raised: false }
    }

    /// As the program before has found it, and whether that has raised it.
    pub fn restored(soft: u64, hard: u64, is_raised: bool) -> Self {
        Self { soft, hard, is_raised }
    }

    /// What [`OpenFiles::restored`] takes.
    pub fn saved(&self) -> (u64, u64, bool) {
        (self.soft, self.hard, self.is_raised)
    }

    /// Raises the limit if `newest` is near it: the kernel gives the lowest number that is free.
    pub fn make_room(&mut self, newest: impl AsFd) {
        let number = newest.as_fd().as_raw_fd() as u64;
        if !self.is_raised && number > self.soft / 4 * 3 {
            self.is_raised = setrlimit(Resource::RLIMIT_NOFILE, self.hard, self.hard).is_ok();
        }
    }

    /// Has `command` start with the limit of before.
    pub fn restore_in(&self, command: &mut Command) {
        if self.is_raised {
            sys::limit_open_files(command, self.soft, self.hard);
        }
    }
}

#[test]
fn room_is_made_near_the_limit_and_not_for_others() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut files = OpenFiles { soft, hard, is_raised: false };
    files.make_room(&null);
    assert!(!files.is_raised, "far from it");
    let mut files = OpenFiles { soft: 2, hard, is_raised: false };
    files.make_room(&null);
    assert!(files.is_raised);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn"]);
    OpenFiles { soft: 77, ..files }.restore_in(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"77\n");
}
