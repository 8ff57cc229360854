//! The guest's memory as WASI's functions see it: every place is checked, no value is trusted.

use super::errno::{Errno, Result};

/// The whole memory, for the time of one call.
pub struct Memory<'a>(pub &'a mut [u8]);

impl Memory<'_> {
    fn range(&self, at: u32, length: u32) -> Result<std::ops::Range<usize>> {
        let end = u64::from(at) + u64::from(length);
        if end > self.0.len() as u64 {
            return Err(Errno::FAULT);
        }
        Ok(at as usize..end as usize)
    }

    pub fn bytes(&self, at: u32, length: u32) -> Result<&[u8]> {
        self.range(at, length).map(|range| &self.0[range])
    }

    pub fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8]> {
        self.range(at, length).map(|range| &mut self.0[range])
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N]> {
        let bytes = self.bytes(at, N as u32)?;
        bytes.try_into().map_err(|_| Errno::FAULT)
    }

    pub fn u32(&self, at: u32) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        self.bytes_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub fn write_u32(&mut self, at: u32, value: u32) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    pub fn write_u64(&mut self, at: u32, value: u64) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    /// The `index`th part of a list of parts, as place and length.
    pub fn part(&self, list: u32, index: u32) -> Result<(u32, u32)> {
        let at = index.checked_mul(8).and_then(|offset| list.checked_add(offset));
        let at = at.ok_or(Errno::FAULT)?;
        let length_at = at.checked_add(4).ok_or(Errno::FAULT)?;
        Ok((self.u32(at)?, self.u32(length_at)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_outside_are_faults() {
        let mut bytes = [0; 16];
        let mut memory = Memory(&mut bytes);
        for (at, length, inside) in [
            (0, 16, true),
            (16, 0, true),
            (0, 17, false),
            (17, 0, false),
            (u32::MAX, 1, false),
            (8, u32::MAX, false),
        ] {
            assert_eq!(memory.bytes(at, length).is_ok(), inside, "{at}, {length}");
            assert_eq!(memory.bytes_mut(at, length).is_ok(), inside, "{at}, {length}");
        }
        assert_eq!(memory.write_u64(9, 1), Err(Errno::FAULT));
        memory.write(8, &[1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        assert_eq!(memory.part(0, 1), Ok((1, 2)));
        for (list, index) in [(0, 2), (0, u32::MAX), (u32::MAX, 0), (u32::MAX - 3, 0)] {
            assert_eq!(memory.part(list, index), Err(Errno::FAULT), "{list}, {index}");
        }
    }
}
