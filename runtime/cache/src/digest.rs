//! SHA-256 of a file.

use std::fmt::{self, Write};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// How many digits it has.
    pub const DIGITS: usize = 64;

    /// Of all of `file`, wherever its cursor is.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn of(file: &File) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut offset = 0;
        loop {
            match file.read_at(&mut buffer, offset) {
                Ok(0) => break,
                Ok(count) => {
                    hash.update(&buffer[..count]);
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::end(hash))
    }

    /// Of `parts`, each with its length in front, so that none can be taken for a part of another.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self::end(hash)
    }

    fn end(hash: Sha256) -> Self {
        let mut digits = String::with_capacity(Self::DIGITS);
        for byte in hash.finalize() {
            // A string takes whatever is written.
            write!(digits, "{byte:02x}").ok();
        }
        Self(digits)
    }

    /// Reads what [`fmt::Display`] wrote; nothing if it is no such text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == Self::DIGITS && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn parts_are_told_apart() {
        let [one, other] = [[&b"ab"[..], b"c"], [b"a", b"bc"]].map(|it| Digest::of_parts(&it));
        assert_ne!(one, other);
        assert_eq!(Digest::parse(&one.to_string()), Some(one));
    }

    #[test]
    fn a_file_is_hashed_from_its_start() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        let digest = Digest::of(&file).unwrap();
        // Source: FIPS 180-2, appendix B.1.
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), want);
        assert_eq!(Digest::parse(want), Some(digest));
        for text in ["", "../x", &want[1..], &want.to_uppercase()] {
            assert_eq!(Digest::parse(text), None, "{text:?}");
        }
    }
}
