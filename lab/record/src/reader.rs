//! Reads a run directory; every error names the file and, where there is one, the line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::SCHEMA_VERSION;
use crate::cell::{Cell, Evidence, Pod, ProcessMemory};
use crate::environment::Environment;
use crate::manifest::Manifest;
use crate::sample::Sample;

/// Files above this size are refused: no honest run writes them.
const FILE_LIMIT_BYTES: u64 = 1 << 30;

/// Why a run directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is missing or unreadable.
    #[error("read {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than anything the lab writes.
    #[error("{path}: {size_bytes} bytes, more than the {FILE_LIMIT_BYTES} a run file may have")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// The text is not what the schema says.
    #[error("{path}:{line}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// Written by a newer lab.
    #[error("{path}: schema version {found}, this program knows up to {SCHEMA_VERSION}")]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// A run, as far as the small files go.
#[derive(Debug)]
pub struct Run {
    /// Where it lies.
    pub dir: PathBuf,
    /// `manifest.json`.
    pub manifest: Manifest,
    /// `environment.json`.
    pub environment: Environment,
    /// The cells in the order they were measured.
    pub cells: Vec<CellRecord>,
}

/// A cell with all its lines.
#[derive(Debug)]
pub struct CellRecord {
    /// `cell.json`.
    pub cell: Cell,
    /// `samples.ndjson`.
    pub samples: Vec<Sample>,
    /// `pods.ndjson`.
    pub pods: Vec<Pod>,
    /// `attribution.ndjson`.
    pub attribution: Vec<ProcessMemory>,
    /// `evidence.json`; a failed cell has none.
    pub evidence: Option<Evidence>,
}

/// Reads the whole run at `dir`.
///
/// # Errors
/// [`ReadError`], naming the file and line.
pub fn read_run(dir: &Path) -> Result<Run, ReadError> {
    let manifest_path = dir.join("manifest.json");
    let manifest: Manifest = read_json(&manifest_path)?;
    if manifest.schema_version > SCHEMA_VERSION {
        return Err(ReadError::Schema { path: manifest_path, found: manifest.schema_version });
    }
    let environment = read_json(&dir.join("environment.json"))?;
    let mut cells = Vec::new();
    for cell_dir in cell_dirs(&dir.join("cells"))? {
        cells.push(read_cell(&cell_dir)?);
    }
    cells.sort_by_key(|record: &CellRecord| record.cell.order);
    Ok(Run { dir: dir.to_owned(), manifest, environment, cells })
}

/// Reads one cell's directory.
///
/// # Errors
/// [`ReadError`], naming the file and line.
pub fn read_cell(dir: &Path) -> Result<CellRecord, ReadError> {
    let evidence_path = dir.join("evidence.json");
    Ok(CellRecord {
        cell: read_json(&dir.join("cell.json"))?,
        samples: read_ndjson(&dir.join("samples.ndjson"))?,
        pods: read_ndjson(&dir.join("pods.ndjson"))?,
        attribution: read_ndjson(&dir.join("attribution.ndjson"))?,
        evidence: evidence_path.exists().then(|| read_json(&evidence_path)).transpose()?,
    })
}

fn cell_dirs(cells: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io { path: cells.to_owned(), source };
    let mut dirs = Vec::new();
    for entry in fs::read_dir(cells).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    Ok(dirs)
}

fn read_text(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let size_bytes = fs::metadata(path).map_err(failed)?.len();
    if size_bytes > FILE_LIMIT_BYTES {
        return Err(ReadError::TooLarge { path: path.to_owned(), size_bytes });
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads a file that holds one JSON value.
///
/// # Errors
/// [`ReadError`], naming the file and line.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|source| ReadError::Parse {
        path: path.to_owned(),
        line: source.line(),
        source,
    })
}

/// Reads a file that holds one JSON value per line; empty lines are passed over.
///
/// # Errors
/// [`ReadError`], naming the file and line.
pub fn read_ndjson<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReadError> {
    let text = read_text(path)?;
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value = serde_json::from_str(line).map_err(|source| ReadError::Parse {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        values.push(value);
    }
    Ok(values)
}

#[test]
fn a_broken_line_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples.ndjson");
    fs::write(&path, "1\n\n2\nx\n").unwrap();
    let error = read_ndjson::<u32>(&path).unwrap_err();
    assert!(error.to_string().ends_with("samples.ndjson:4"), "{error}");
}
