//! What the run meant to measure: the parts of `experiment.toml` that a report needs.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use wamr_record::reader::ReadError;

use crate::error::Error;

/// A plan is a page of text.
const LIMIT_BYTES: u64 = 1 << 20;

/// Cells that a plan may ask for: years of measuring.
const MAX_CELLS: usize = 100_000;

/// `experiment.toml`; keys that only the lab needs are passed over.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Title of the experiment.
    pub title: String,
    /// Seed of the order of the cells.
    pub seed: Option<i64>,
    /// Repetitions of every cell.
    pub repetitions: u32,
    /// Pods per cell.
    pub densities: Vec<u32>,
    /// Systems under test, in the order in which tables list them.
    pub series: Vec<Series>,
    /// Lengths of the protocol's phases.
    pub timing: Timing,
}

/// A system under test.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
}

/// What the protocol promised about samples.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Readings of /proc/meminfo on the plateau of every cell.
    pub plateau_samples: Option<u32>,
}

/// Reads `experiment.toml` of the run at `dir`.
///
/// # Errors
/// The file is missing, unreadable, or no TOML of that shape.
pub fn read_plan(dir: &Path) -> Result<Plan, Error> {
    let path = dir.join("experiment.toml");
    let failed = |source| ReadError::Io { path: path.clone(), source };
    let size_bytes = fs::metadata(&path).map_err(failed)?.len();
    if size_bytes > LIMIT_BYTES {
        return Err(ReadError::TooLarge { path, size_bytes }.into());
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    let plan: Plan = match toml::from_str(&text) {
        Ok(plan) => plan,
        Err(source) => {
            let line = line_of(&text, source.span().map_or(0, |span| span.start));
            return Err(Error::Plan { line, path, source });
        }
    };
    let cells = plan.series.len().saturating_mul(plan.densities.len());
    if cells.saturating_mul(plan.repetitions as usize) > MAX_CELLS {
        return Err(Error::PlanTooLarge { path, limit: MAX_CELLS });
    }
    Ok(plan)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

#[test]
fn a_broken_plan_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("experiment.toml"), "title = \"x\"\nseed = 1\ndensities = 7\n")
        .unwrap();
    let error = read_plan(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("experiment.toml:3"), "{error}");
    fs::write(dir.path().join("experiment.toml"), "other = 1\ndensities = [10]\n").unwrap();
    assert_eq!(read_plan(dir.path()).unwrap().densities, [10]);
}
