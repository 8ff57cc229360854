//! What the program does for each of its longer commands.

pub mod check;
pub mod diff;
pub mod export;
pub mod history;

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::report::table::Table;

/// What a command prints and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub text: String,
    /// Exit status.
    pub status: u8,
}

/// Writes a file that was asked for by name.
///
/// # Errors
/// The system refuses.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|source| Error::Io {
        act: "write",
        path: path.to_owned(),
        source,
    })
}

/// Writes a table as CSV, where a file was asked for.
///
/// # Errors
/// The system refuses.
pub fn write_csv(path: Option<&Path>, table: &Table) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    let csv = table.csv().map_err(|source| Error::Encode {
        name: path.display().to_string(),
        source: Box::new(source),
    })?;
    write(path, csv)
}
