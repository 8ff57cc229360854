//! sha256 of bytes and files, and a writer that computes it on the way.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use miette::{Context as _, IntoDiagnostic as _, Result};
use sha2::{Digest as _, Sha256};

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// sha256 of `bytes` in hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// sha256 of the file at `path` in hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    let digest = || {
        let mut sink = Hashing::new(io::sink());
        io::copy(&mut File::open(path)?, &mut sink)?;
        Ok::<_, io::Error>(sink.finish().0)
    };
    digest().into_diagnostic().with_context(|| format!("cannot read {}", path.display()))
}

/// Passes bytes on to `inner` and hashes them.
pub struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    /// Nothing written yet.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// The digest in hexadecimal digits, the number of bytes, and the writer.
    pub fn finish(self) -> (String, u64, W) {
        (hex(&self.hash.finalize()), self.bytes, self.inner)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1, and the empty message.
    const KNOWN: &[(&str, &str)] = &[
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ];

    #[test]
    fn digests_of_known_messages() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("message");
        for (message, want) in KNOWN {
            std::fs::write(&file, message).unwrap();
            assert_eq!(of_bytes(message.as_bytes()), *want, "bytes of {message:?}");
            assert_eq!(of_file(&file).unwrap(), *want, "file with {message:?}");
            let mut sink = Hashing::new(Vec::new());
            sink.write_all(message.as_bytes()).unwrap();
            let (digest, bytes, inner) = sink.finish();
            assert_eq!((digest.as_str(), bytes), (*want, message.len() as u64), "{message:?}");
            assert_eq!(inner, message.as_bytes());
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = of_file(Path::new("/no/such/file")).unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }
}
