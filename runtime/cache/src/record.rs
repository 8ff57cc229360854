//! What is written beside a compiled module.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What is known of a compiled module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// SHA-256 of the compiled code.
    pub artifact_sha256: String,
    /// Its size.
    pub artifact_bytes: u64,
    /// Size of the module it was made of.
    pub module_bytes: u64,
    /// How long that took.
    pub compile_ms: u64,
}

/// Reads a record; nothing if there is none, or none that can be understood.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read(path: &Path) -> io::Result<Option<Record>> {
    let text = read_text(path)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Reads a short text; nothing if there is none.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    const MOST_BYTES: u64 = 64 << 10;
    let Some(file) = crate::open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Puts `text` at `path` in one step for every reader.
///
/// # Errors
/// Those of the system calls; a full disk among them.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = create(&new).and_then(|mut file| file.write_all(text.as_bytes()));
    let placed = written.and_then(|()| fs::rename(&new, path));
    if placed.is_err() {
        // What is left of it is removed by `prune` at the latest.
        fs::remove_file(&new).ok();
    }
    placed
}

/// A new file of this user's alone, or the old one emptied.
///
/// # Errors
/// Those of open(2).
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}
