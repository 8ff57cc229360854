//! The layout of an encoded plan. Pure.
//!
//! All integers are 32 bits, little-endian:
//!
//! ```text
//! magic "WAMP", version, length of the whole plan in bytes,
//! module_fd, stack_bytes, heap_bytes, max_memory_pages,
//! number of args, of env, of socket networks, of socket names, of preopens,
//! then the strings: cwd, args, env, socket networks, socket names,
//! (guest path, container path) per preopen
//! ```
//!
//! A string is its length without the NUL, its bytes, a NUL. The NUL lets the runner hand the
//! strings to C where they lie; the length lets it skip them without reading every byte.

use std::ffi::CStr;

use crate::Plan;

/// The first four bytes of every plan.
const MAGIC: [u8; 4] = *b"WAMP";
/// Raised with every change of the layout: runtime and runner must come from one release.
const VERSION: u32 = 2;
/// Size of everything before the first string.
const HEADER_BYTES: usize = 12 * 4;

/// Why bytes are not a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes do not start like a plan.
    Magic,
    /// The plan has another layout than this program reads.
    Version(u32),
    /// The bytes end inside the plan, or go on after it.
    Length,
    /// A string lacks its closing NUL, or has another NUL inside.
    Nul,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Magic => "not a plan: the magic bytes are missing",
            Self::Version(_) => "a plan of another version: wamr-crun and wamr-runner do not match",
            Self::Length => "a damaged plan: its length is wrong",
            Self::Nul => "a damaged plan: a string is not ended by its only NUL byte",
        })
    }
}

impl std::error::Error for DecodeError {}

/// The numbers at the front of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub module_fd: u32,
    pub stack_bytes: u32,
    pub heap_bytes: u32,
    pub max_memory_pages: u32,
    pub args: u32,
    pub env: u32,
    pub socket_networks: u32,
    pub socket_names: u32,
    pub preopens: u32,
}

/// A cursor over encoded bytes; what it gives out borrows from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the header and leaves the cursor at the first string.
    pub fn open(bytes: &'a [u8]) -> Result<(Header, Self), DecodeError> {
        let mut reader = Self { rest: bytes };
        if reader.take(MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(DecodeError::Magic);
        }
        let version = reader.number()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        if usize::try_from(reader.number()?) != Ok(bytes.len()) {
            return Err(DecodeError::Length);
        }
        let header = Header {
            module_fd: reader.number()?,
            stack_bytes: reader.number()?,
            heap_bytes: reader.number()?,
            max_memory_pages: reader.number()?,
            args: reader.number()?,
            env: reader.number()?,
            socket_networks: reader.number()?,
            socket_names: reader.number()?,
            preopens: reader.number()?,
        };
        Ok((header, reader))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4).ok_or(DecodeError::Length)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| DecodeError::Length)
    }

    /// The next string.
    pub fn string(&mut self) -> Result<&'a CStr, DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| DecodeError::Length)?;
        let with_nul = length.checked_add(1).ok_or(DecodeError::Length)?;
        let bytes = self.take(with_nul).ok_or(DecodeError::Length)?;
        CStr::from_bytes_with_nul(bytes).map_err(|_| DecodeError::Nul)
    }

    /// Passes over `count` strings and checks each.
    pub fn skip_strings(&mut self, count: u64) -> Result<(), DecodeError> {
        (0..count).try_for_each(|_| self.string().map(drop))
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Writes `plan` in the layout above.
pub(crate) fn encode(plan: &Plan) -> Vec<u8> {
    let strings: Vec<&[u8]> = std::iter::once(&plan.cwd)
        .chain(&plan.args)
        .chain(&plan.env)
        .chain(&plan.socket_networks)
        .chain(&plan.socket_names)
        .chain(plan.preopens.iter().flat_map(|dir| [&dir.guest_path, &dir.container_path]))
        .map(Vec::as_slice)
        .collect();
    let length = HEADER_BYTES + strings.iter().map(|string| string.len() + 5).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&MAGIC);
    let numbers = [
        VERSION,
        wire(length),
        plan.module_fd,
        plan.stack_bytes,
        plan.heap_bytes,
        plan.max_memory_pages,
        wire(plan.args.len()),
        wire(plan.env.len()),
        wire(plan.socket_networks.len()),
        wire(plan.socket_names.len()),
        wire(plan.preopens.len()),
    ];
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for string in strings {
        out.extend_from_slice(&wire(string.len()).to_le_bytes());
        out.extend_from_slice(string);
        out.push(0);
    }
    out
}

/// A size as it stands in the plan. A size above 4 GiB, which no exec could carry either, gives a
/// plan that the reader refuses by its length.
fn wire(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
