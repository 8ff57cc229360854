//! What the one thread waits for: epoll, with names for what is ready.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;
use std::time::Duration;

/// Events that are taken at once.
const AT_ONCE: usize = 64;

/// Something that can become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A connection waits to be accepted.
    Listener,
    /// A child has ended.
    Children,
    /// The connection to containerd's events.
    Events,
    /// A connection of containerd.
    Connection(u32),
    /// One of the descriptors of a terminal.
    Terminal(u32),
}

impl Source {
    fn number(self) -> u64 {
        let (kind, index) = match self {
            Self::Listener => (0, 0),
            Self::Children => (1, 0),
            Self::Events => (2, 0),
            Self::Connection(index) => (3, index),
            Self::Terminal(index) => (4, index),
        };
        kind << 32 | u64::from(index)
    }

    fn of(number: u64) -> Self {
        let index = number as u32;
        match number >> 32 {
            0 => Self::Listener,
            1 => Self::Children,
            2 => Self::Events,
            3 => Self::Connection(index),
            _ => Self::Terminal(index),
        }
    }
}

/// When a descriptor is reported.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// It can be read.
    Readable,
    /// It can be read or written.
    Both,
    /// It has become readable or writable.
    Changed,
}

impl When {
    fn flags(self) -> EpollFlags {
        let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        match self {
            Self::Readable => EpollFlags::EPOLLIN,
            Self::Both => both,
            Self::Changed => both | EpollFlags::EPOLLET,
        }
    }
}

/// All that is waited for.
#[derive(Debug)]
pub struct Poll(Epoll);

impl Poll {
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> nix::Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Waits for `fd` as well, until it is closed.
    ///
    /// # Errors
    /// The descriptor is none that can be waited for.
    pub fn add(&self, fd: impl AsFd, source: Source, when: When) -> nix::Result<()> {
        self.0.add(fd, EpollEvent::new(when.flags(), source.number()))
    }

    /// Waits for something else on `fd`.
    ///
    /// # Errors
    /// It is not waited for.
    pub fn change(&self, fd: impl AsFd, source: Source, when: When) -> nix::Result<()> {
        self.0.modify(fd, &mut EpollEvent::new(when.flags(), source.number()))
    }

    /// What is ready; nothing after `patience`.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn wait(&self, patience: Option<Duration>) -> nix::Result<Vec<Source>> {
        let timeout = patience.map_or(EpollTimeout::NONE, |patience| {
            // Not a millisecond too early, or the caller would be asked again and again.
            EpollTimeout::try_from(patience + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
        });
        let mut ready = [EpollEvent::empty(); AT_ONCE];
        match self.0.wait(&mut ready, timeout) {
            Ok(count) => Ok(ready[..count].iter().map(|event| Source::of(event.data())).collect()),
            Err(nix::Error::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }
}

#[test]
fn sources_keep_their_names() {
    use Source::{Children, Connection, Events, Listener, Terminal};
    for source in [Listener, Children, Events, Connection(0), Connection(u32::MAX), Terminal(7)] {
        assert_eq!(Source::of(source.number()), source);
    }
}
