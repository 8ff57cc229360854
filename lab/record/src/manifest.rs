//! The manifest: what a run is, and the digest of every file in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `manifest.json`, written last: a run without it was not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The run directory's name.
    pub run: String,
    /// The experiment's title.
    pub title: String,
    /// Version of the lab that wrote it.
    pub lab_version: String,
    /// When the run began.
    pub begin_ns: i64,
    /// When the run ended.
    pub end_ns: i64,
    /// When it was resumed after having been broken off, each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed_ns: Vec<i64>,
    /// The cells that were asked for, if not all of the experiment: parts of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Daemons that were asked to collect their heap before each level of memory; none in a run
    /// that left them as they were, and in older ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heaps_collected: Vec<String>,
    /// Every other file, by path relative to the run directory.
    pub files: BTreeMap<String, FileDigest>,
}

/// Size and digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// Size and sha256 of the file at `path`, read in pieces.
///
/// # Errors
/// The file cannot be opened or read.
pub fn digest_file(path: &Path) -> io::Result<FileDigest> {
    digest_reader(File::open(path)?)
}

/// Size and sha256 of everything that `reader` yields.
///
/// # Errors
/// As `reader` fails.
pub fn digest_reader(mut reader: impl Read) -> io::Result<FileDigest> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0_u8; 64 * 1024];
    let mut size_bytes = 0;
    loop {
        let count = reader.read(&mut piece)?;
        if count == 0 {
            break;
        }
        hasher.update(&piece[..count]);
        size_bytes += count as u64;
    }
    Ok(FileDigest { size_bytes, sha256: lower_hex(&hasher.finalize()) })
}

fn lower_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[test]
fn digest_is_the_one_that_sha256sum_prints() {
    let digest = digest_reader(&b"abc"[..]).unwrap();
    assert_eq!(digest.size_bytes, 3);
    assert_eq!(digest.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
