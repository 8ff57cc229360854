//! The event `oom` of `events`: the kernel has run out of memory in a container's groups.
//!
//! Version 1: an eventfd that is registered with the group. Version 2: memory.events, which can
//! be polled and counts.
//!
//! Source: kernel cgroup-v1/memory.rst "OOM Control"; cgroup-v2.rst "memory.events".

use super::{Cgroup, files};
use crate::error::{Act, Result};
use nix::poll::PollFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use wamr_cgroup_stats::Counts;

/// A registration; poll its descriptor for [`Watch::flags`].
#[derive(Debug)]
pub enum Watch {
    /// Of version 1.
    V1(EventFd),
    /// Of version 2, with the kills that were counted before.
    V2(File, u64),
}

impl Watch {
    /// Watches `cgroup`; `None` where memory is not counted for it alone.
    ///
    /// # Errors
    /// [`crate::error::Error::Os`].
    pub fn new(cgroup: &Cgroup) -> Result<Option<Self>> {
        match cgroup {
            Cgroup::V1(_) => cgroup.directory("memory").map(watch_v1).transpose(),
            Cgroup::V2(group) => {
                let path = group.directory.join("memory.events");
                if !path.exists() {
                    return Ok(None);
                }
                let file = File::open(&path).act(|| format!("open {}", path.display()))?;
                let mut watch = Self::V2(file, 0);
                // What happened before is no news.
                watch.has_fired();
                Ok(Some(watch))
            }
        }
    }

    /// What to poll for.
    pub fn flags(&self) -> PollFlags {
        match self {
            Self::V1(_) => PollFlags::POLLIN,
            Self::V2(..) => PollFlags::POLLPRI,
        }
    }

    /// Whether it has happened since the last question.
    pub fn has_fired(&mut self) -> bool {
        match self {
            Self::V1(eventfd) => eventfd.read().is_ok(),
            Self::V2(file, before) => {
                let mut text = String::new();
                let read =
                    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
                // A group that is being removed has no events any more. Without swap a group may
                // be out of memory without a kill, which is no event.
                let now = read.map_or(*before, |_| Counts::from(text).or_zero("oom_kill"));
                std::mem::replace(before, now) < now
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::V1(eventfd) => eventfd.as_fd(),
            Self::V2(file, _) => file.as_fd(),
        }
    }
}

fn watch_v1(directory: &Path) -> Result<Watch> {
    let act = || format!("watch {}/memory.oom_control", directory.display());
    let control = File::open(directory.join("memory.oom_control")).act(act)?;
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let eventfd = EventFd::from_flags(flags).act(act)?;
    let line = format!("{} {}", eventfd.as_fd().as_raw_fd(), control.as_raw_fd());
    files::write(&directory.join("cgroup.event_control"), &line).act(act)?;
    Ok(Watch::V1(eventfd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::v2;
    use std::fs;

    #[test]
    fn only_new_kills_count() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("memory.events");
        let group = v2::Group { directory: top.path().to_owned(), first_made: None, scope: None };
        let cgroup = Cgroup::V2(group);
        assert!(Watch::new(&cgroup).unwrap().is_none());
        fs::write(&file, "max 5\noom 2\noom_kill 2\noom_group_kill 9\n").unwrap();
        let mut watch = Watch::new(&cgroup).unwrap().unwrap();
        assert!(!watch.has_fired());
        fs::write(&file, "max 6\noom 3\noom_kill 3\noom_group_kill 9\n").unwrap();
        assert!(watch.has_fired());
        assert!(!watch.has_fired());
    }
}
