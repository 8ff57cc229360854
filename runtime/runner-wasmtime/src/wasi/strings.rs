//! Arguments and environment.

use std::ffi::CStr;

use super::errno::{Errno, Result};
use super::memory::Memory;
use super::{Arguments, Host};

/// A list of strings, each with its NUL, one behind the other.
pub struct Strings {
    bytes: Box<[u8]>,
    count: u32,
}

impl Strings {
    /// Copies `list`.
    pub fn of<'a>(list: impl Iterator<Item = &'a CStr>) -> Self {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for string in list {
            bytes.extend_from_slice(string.to_bytes_with_nul());
            count += 1;
        }
        Self { bytes: bytes.into(), count }
    }

    fn sizes(&self, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
        memory.write_u32(arguments.u32(0), self.count)?;
        memory.write_u32(arguments.u32(1), length)
    }

    fn get(&self, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
        let (mut pointer_at, buffer) = (arguments.u32(0), arguments.u32(1));
        memory.write(buffer, &self.bytes)?;
        let mut at = buffer;
        for string in self.bytes.split_inclusive(|byte| *byte == 0) {
            memory.write_u32(pointer_at, at)?;
            pointer_at = pointer_at.checked_add(4).ok_or(Errno::FAULT)?;
            // The last one may end where memory does.
            at = at.wrapping_add(string.len() as u32);
        }
        Ok(())
    }
}

pub fn args_get(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.args.get(memory, arguments)
}

pub fn args_sizes_get(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.args.sizes(memory, arguments)
}

pub fn environ_get(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.env.get(memory, arguments)
}

pub fn environ_sizes_get(host: &mut Host, memory: &mut Memory, args: &Arguments) -> Result<()> {
    host.env.sizes(memory, args)
}
