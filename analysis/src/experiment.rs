//! Reads `experiment.toml`: what the run meant to measure.

use std::fs;
use std::path::Path;

use wamr_record::experiment::{Experiment, parse};
use wamr_record::reader::ReadError;

use crate::error::Error;

/// An experiment is a page of text.
const LIMIT_BYTES: u64 = 1 << 20;

/// Cells that an experiment may ask for: years of measuring.
const MAX_CELLS: usize = 100_000;

/// Reads `experiment.toml` of the run at `dir`.
///
/// # Errors
/// The file is missing, unreadable, or no TOML of that shape.
pub fn read_experiment(dir: &Path) -> Result<Experiment, Error> {
    let path = dir.join("experiment.toml");
    let failed = |source| ReadError::Io { path: path.clone(), source };
    let size_bytes = fs::metadata(&path).map_err(failed)?.len();
    if size_bytes > LIMIT_BYTES {
        return Err(ReadError::TooLarge { path, size_bytes }.into());
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let experiment = match parse(&text) {
        Ok(experiment) => experiment,
        Err(source) => {
            let line = line_of(&text, source.span().map_or(0, |span| span.start));
            return Err(Error::Experiment { line, path, source });
        }
    };
    let systems = experiment.series.len().saturating_mul(experiment.containerd.len().max(1));
    let cells = systems.saturating_mul(experiment.densities.len());
    if cells.saturating_mul(experiment.repetitions as usize) > MAX_CELLS {
        return Err(Error::ExperimentTooLarge { path, limit: MAX_CELLS });
    }
    Ok(experiment)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

#[test]
fn a_broken_experiment_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("experiment.toml"), "title = \"x\"\nseed = 1\ndensities = 7\n")
        .unwrap();
    let error = read_experiment(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("experiment.toml:3"), "{error}");
}
