//! Whether an entry is what was written.
//!
//! Its digest is compared once after each start of the machine, and again when anything about the
//! file has changed: the kernel changes the file's ctime with every write, and nobody can set it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::digest::Digest;
use crate::record::{self, Record};
use crate::{Cache, is_own};

/// Whether the artifact of `digest` is a file of this user's with the content of `record`.
///
/// # Errors
/// It cannot be read.
pub fn is_sound(cache: &Cache, digest: &Digest, record: &Record) -> io::Result<bool> {
    let file = match crate::open(&cache.file(digest, "")) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(false),
        // A link, which nobody put there who may.
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(false),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    let own = found.is_file() && is_own(&found);
    if !own || found.len() != record.artifact_bytes || found.len() == 0 {
        return Ok(false);
    }
    let (seal_path, seal) = (cache.file(digest, ".checked"), seal(&found, record));
    if record::read_text(&seal_path)?.is_some_and(|text| text == seal) {
        return Ok(true);
    }
    if !has_content(&file, record)? {
        return Ok(false);
    }
    // Where nothing can be written, it is compared each time.
    drop(record::write(&seal_path, &seal));
    Ok(true)
}

/// Whether the file has the digest of the record, whatever was noted before.
///
/// # Errors
/// It cannot be read.
pub fn has_content(file: &File, record: &Record) -> io::Result<bool> {
    Ok(Digest::of(file)?.to_string() == record.artifact_sha256)
}

/// Which file it was that was compared, and since when nobody can have changed it.
fn seal(found: &fs::Metadata, record: &Record) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!(
        "{} {} {} {}.{:09} {} {}\n",
        boot.trim(),
        found.dev(),
        found.ino(),
        found.ctime(),
        found.ctime_nsec(),
        found.len(),
        record.artifact_sha256
    )
}
