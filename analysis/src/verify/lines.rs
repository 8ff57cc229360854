//! Files against their schema, every defect with its line.

use std::error::Error as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use wamr_record::environment::Environment;
use wamr_record::reader::{ReadError, read_json};

use super::defect::Defect;
use super::files::Survey;

/// Files above this size are refused, as by the reader.
const FILE_LIMIT_BYTES: u64 = 1 << 30;

/// At most so many defects of one file are listed: the rest says nothing new.
const MAX_PER_FILE: usize = 20;

/// Reads a file with one JSON value.
///
/// # Errors
/// What is wrong with it, as a defect.
pub fn json<T: DeserializeOwned>(dir: &Path, path: &str) -> Result<T, Defect> {
    read_json(&dir.join(path)).map_err(|error| match &error {
        ReadError::Parse { line, source, .. } => Defect::at(path, Some(*line), source),
        other => Defect::file(path, chain(other)),
    })
}

/// Reads a file with one JSON value per line; lines that cannot be read become defects. The values
/// keep their line number.
pub fn ndjson<T: DeserializeOwned>(
    dir: &Path,
    path: &str,
    survey: &Survey,
    defects: &mut Vec<Defect>,
) -> Vec<(usize, T)> {
    let Some(&size_bytes) = survey.files.get(path) else {
        defects.push(Defect::file(path, "missing"));
        return Vec::new();
    };
    if size_bytes > FILE_LIMIT_BYTES {
        defects.push(Defect::file(path, format!("{size_bytes} bytes: no run file is so large")));
        return Vec::new();
    }
    let bytes = match std::fs::read(dir.join(path)) {
        Ok(bytes) => bytes,
        Err(error) => {
            defects.push(Defect::file(path, error));
            return Vec::new();
        }
    };
    let mut values = Vec::new();
    let mut bad = Vec::new();
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let last = lines.peek().is_none();
        if line.is_empty() && last {
            break;
        }
        match serde_json::from_slice(line) {
            Ok(value) => values.push((index + 1, value)),
            Err(error) => bad.push(Defect::at(path, Some(index + 1), error)),
        }
        if last {
            bad.push(Defect::at(path, Some(index + 1), "the last line has no end: truncated"));
        }
        if bad.len() > MAX_PER_FILE {
            break;
        }
    }
    if bad.len() > MAX_PER_FILE {
        bad.truncate(MAX_PER_FILE);
        bad.push(Defect::file(path, "more defects of this file are not listed"));
    }
    defects.extend(bad);
    values
}

/// Checks the files beside the cells.
pub fn small_files(dir: &Path, survey: &Survey, defects: &mut Vec<Defect>) {
    if survey.has("environment.json") {
        defects.extend(json::<Environment>(dir, "environment.json").err());
    } else {
        defects.push(Defect::file("environment.json", "missing"));
    }
    ndjson::<Value>(dir, "journal.ndjson", survey, defects);
}

/// An error and its sources on one line.
pub fn chain(error: &ReadError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
