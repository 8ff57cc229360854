//! WASI's error numbers. Pure.

use rustix::io::Errno as System;

/// An error number of preview 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

/// What a function of WASI gives.
pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    pub const AGAIN: Self = Self(6);
    pub const BADF: Self = Self(8);
    pub const FAULT: Self = Self(21);
    pub const INVAL: Self = Self(28);
    pub const IO: Self = Self(29);
    pub const NAMETOOLONG: Self = Self(37);
    pub const NOTSOCK: Self = Self(57);
    pub const NOTSUP: Self = Self(58);
    pub const OVERFLOW: Self = Self(61);
    pub const PERM: Self = Self(63);
    pub const NOTCAPABLE: Self = Self(76);
}

/// Linux's number, then WASI's.
///
/// Source: WASI `preview1/witx/typenames.witx`, `errno`.
const TABLE: [(System, u16); 52] = [
    (System::TOOBIG, 1),
    (System::ACCESS, 2),
    (System::ADDRINUSE, 3),
    (System::AGAIN, 6),
    (System::ALREADY, 7),
    (System::BADF, 8),
    (System::BADMSG, 9),
    (System::BUSY, 10),
    (System::CANCELED, 11),
    (System::CONNABORTED, 13),
    (System::CONNREFUSED, 14),
    (System::CONNRESET, 15),
    (System::DEADLK, 16),
    (System::DOM, 18),
    (System::DQUOT, 19),
    (System::EXIST, 20),
    (System::FAULT, 21),
    (System::FBIG, 22),
    (System::ILSEQ, 25),
    (System::INPROGRESS, 26),
    (System::INTR, 27),
    (System::INVAL, 28),
    (System::IO, 29),
    (System::ISDIR, 31),
    (System::LOOP, 32),
    (System::MFILE, 33),
    (System::MLINK, 34),
    (System::NAMETOOLONG, 37),
    (System::NFILE, 41),
    (System::NOBUFS, 42),
    (System::NODEV, 43),
    (System::NOENT, 44),
    (System::NOEXEC, 45),
    (System::NOLCK, 46),
    (System::NOMEM, 48),
    (System::NOSPC, 51),
    (System::NOSYS, 52),
    (System::NOTCONN, 53),
    (System::NOTDIR, 54),
    (System::NOTEMPTY, 55),
    (System::NOTSOCK, 57),
    (System::OPNOTSUPP, 58),
    (System::NOTTY, 59),
    (System::NXIO, 60),
    (System::OVERFLOW, 61),
    (System::PERM, 63),
    (System::PIPE, 64),
    (System::ROFS, 69),
    (System::SPIPE, 70),
    (System::STALE, 72),
    (System::TIMEDOUT, 73),
    (System::TXTBSY, 74),
];

impl From<System> for Errno {
    fn from(error: System) -> Self {
        // Nothing else than a path that leaves its directory gives this in a guest's calls, but
        // for links and renames between file systems, which ask for it by themselves.
        if error == System::XDEV {
            return Self::NOTCAPABLE;
        }
        let known = TABLE.iter().find(|(system, _)| *system == error);
        known.map_or(Self::IO, |(_, number)| Self(*number))
    }
}

/// Of a link or a rename: between two file systems, which both lie inside.
pub fn between(error: System) -> Errno {
    if error == System::XDEV { Errno(75) } else { error.into() }
}
