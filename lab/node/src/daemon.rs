//! A daemon of the node, as data, and its log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A program that init starts and watches. Its log is `NAME.log` in the log directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Name in messages and of the log.
    pub name: String,
    /// Program and arguments, as the node sees them.
    pub argv: Vec<String>,
    /// Environment beside PATH and HOME.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl Daemon {
    /// A daemon without an environment of its own.
    pub fn new(name: &str, program: &str, flags: impl IntoIterator<Item = String>) -> Self {
        Self {
            name: name.to_owned(),
            argv: std::iter::once(program.to_owned()).chain(flags).collect(),
            env: BTreeMap::new(),
        }
    }
}

/// `--key=value` for each pair, in order.
pub fn flags<'a, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (&'a str, V)>,
) -> impl Iterator<Item = String> {
    pairs.into_iter().map(|(key, value)| format!("--{key}={}", value.as_ref()))
}

/// The last `lines` lines of a log, or why they cannot be had: for error texts.
pub fn log_tail(path: &Path, lines: usize) -> String {
    match read_end(path, 64 * 1024) {
        Ok(text) => {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("(cannot read {}: {error})", path.display()),
    }
}

/// At most `limit_bytes` from the end of a file.
fn read_end(path: &Path, limit_bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit_bytes)))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn the_tail_of_a_log_is_its_last_lines() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("x.log");
    std::fs::write(&log, "one\ntwo\nthree\n").unwrap();
    assert_eq!(log_tail(&log, 2), "two\nthree");
    assert_eq!(log_tail(&log, 9), "one\ntwo\nthree");
    assert!(log_tail(&dir.path().join("none"), 2).contains("No such file"));
}
