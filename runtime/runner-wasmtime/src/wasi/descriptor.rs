//! What the guest's descriptors stand for, and what it may do with each.

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, fstat};

use super::errno::{Errno, Result};

/// Rights of preview 1, a bit each.
///
/// Source: WASI `preview1/witx/typenames.witx`, `rights`.
pub mod right {
    pub const DATASYNC: u64 = 1;
    pub const READ: u64 = 1 << 1;
    pub const SEEK: u64 = 1 << 2;
    pub const SET_FLAGS: u64 = 1 << 3;
    pub const SYNC: u64 = 1 << 4;
    pub const TELL: u64 = 1 << 5;
    pub const WRITE: u64 = 1 << 6;
    pub const ADVISE: u64 = 1 << 7;
    pub const ALLOCATE: u64 = 1 << 8;
    pub const CREATE_DIRECTORY: u64 = 1 << 9;
    pub const CREATE_FILE: u64 = 1 << 10;
    pub const LINK_SOURCE: u64 = 1 << 11;
    pub const LINK_TARGET: u64 = 1 << 12;
    pub const OPEN: u64 = 1 << 13;
    pub const READDIR: u64 = 1 << 14;
    pub const READLINK: u64 = 1 << 15;
    pub const RENAME_SOURCE: u64 = 1 << 16;
    pub const RENAME_TARGET: u64 = 1 << 17;
    pub const PATH_STAT: u64 = 1 << 18;
    pub const PATH_SET_SIZE: u64 = 1 << 19;
    pub const PATH_SET_TIMES: u64 = 1 << 20;
    pub const STAT: u64 = 1 << 21;
    pub const SET_SIZE: u64 = 1 << 22;
    pub const SET_TIMES: u64 = 1 << 23;
    pub const SYMLINK: u64 = 1 << 24;
    pub const REMOVE_DIRECTORY: u64 = 1 << 25;
    pub const UNLINK: u64 = 1 << 26;
    pub const POLL: u64 = 1 << 27;
    pub const SHUTDOWN: u64 = 1 << 28;
}

const STREAM: u64 = right::READ | right::WRITE | right::SET_FLAGS | right::STAT | right::POLL;
const FILE: u64 = STREAM
    | right::DATASYNC
    | right::SEEK
    | right::SYNC
    | right::TELL
    | right::ADVISE
    | right::ALLOCATE
    | right::SET_SIZE
    | right::SET_TIMES;
const DIRECTORY: u64 = right::SET_FLAGS
    | right::SYNC
    | right::ADVISE
    | right::CREATE_DIRECTORY
    | right::CREATE_FILE
    | right::LINK_SOURCE
    | right::LINK_TARGET
    | right::OPEN
    | right::READDIR
    | right::READLINK
    | right::RENAME_SOURCE
    | right::RENAME_TARGET
    | right::PATH_STAT
    | right::PATH_SET_SIZE
    | right::PATH_SET_TIMES
    | right::STAT
    | right::SET_TIMES
    | right::SYMLINK
    | right::REMOVE_DIRECTORY
    | right::UNLINK
    | right::POLL;

/// WASI's numbers of file types.
pub fn file_type_number(kind: FileType) -> u8 {
    match kind {
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => 3,
        FileType::RegularFile => 4,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        _ => 0,
    }
}

/// Whether reads and writes wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// As the open file says.
    AsOpened,
    /// A standard stream as it was handed over.
    Yes,
    /// A standard stream that the guest made non-blocking: nobody else sees it.
    No,
}

/// An open file of the guest's.
pub struct Descriptor {
    pub file: OwnedFd,
    pub kind: FileType,
    pub blocking: Blocking,
    /// The name of a preopened directory.
    pub preopen: Option<Box<[u8]>>,
    pub rights: u64,
    /// What files opened through it may get.
    pub inheriting: u64,
}

impl Descriptor {
    /// With all the rights that such a file can have.
    pub fn new(file: OwnedFd) -> Result<Self> {
        let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
        let (rights, inheriting) = match kind {
            FileType::Directory => (DIRECTORY, DIRECTORY | FILE),
            FileType::RegularFile | FileType::BlockDevice => (FILE, 0),
            // By the lack of these rights C libraries know a terminal.
            FileType::CharacterDevice if rustix::termios::isatty(&file) => (STREAM, 0),
            FileType::CharacterDevice => (STREAM | right::SEEK | right::TELL, 0),
            FileType::Socket => (STREAM | right::SHUTDOWN, 0),
            _ => (STREAM, 0),
        };
        let blocking = Blocking::AsOpened;
        Ok(Self { file, kind, blocking, preopen: None, rights, inheriting })
    }

    /// Whether it is the preopened directory `name`.
    pub fn is_preopen(&self, name: &CStr) -> bool {
        self.preopen.as_deref() == Some(name.to_bytes())
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The guest's descriptors by their numbers. What is left at its end goes with the process: the
/// reason why a guest ended is still to be written to standard error.
#[derive(Default)]
pub struct Table(ManuallyDrop<Vec<Option<Descriptor>>>);

/// More than any guest needs, and less than would fill memory.
const MOST: usize = 1 << 16;

impl Table {
    /// Puts `descriptor` at the lowest free number.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        let free = self.0.iter().position(Option::is_none);
        let index = free.unwrap_or(self.0.len());
        if index >= MOST {
            return Err(rustix::io::Errno::MFILE.into());
        }
        if index == self.0.len() {
            self.0.push(None);
        }
        self.0[index] = Some(descriptor);
        Ok(index as u32)
    }

    /// The descriptor `number`, if it has all of `rights`.
    pub fn get(&self, number: u32, rights: u64) -> Result<&Descriptor> {
        let found = self.0.get(number as usize).and_then(Option::as_ref).ok_or(Errno::BADF)?;
        if found.rights & rights == rights { Ok(found) } else { Err(Errno::NOTCAPABLE) }
    }

    /// The preopened directory `name`.
    pub fn preopen(&self, name: &CStr) -> Option<&Descriptor> {
        self.0.iter().flatten().find(|one| one.is_preopen(name))
    }

    pub fn get_mut(&mut self, number: u32) -> Result<&mut Descriptor> {
        self.0.get_mut(number as usize).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    pub fn remove(&mut self, number: u32) -> Result<Descriptor> {
        self.0.get_mut(number as usize).and_then(Option::take).ok_or(Errno::BADF)
    }

    /// Moves `from` into the place of `to`, which is closed.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(to, 0)?;
        let moved = self.remove(from)?;
        self.0[to as usize] = Some(moved);
        Ok(())
    }
}
