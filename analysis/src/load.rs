//! Reads a run after checking it.

use std::path::Path;

use wamr_record::reader::read_run;

use crate::error::Error;
use crate::experiment::read_experiment;
use crate::study::{Study, study};
use crate::verify::check::check;

/// Whether a run with defects is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Any defect is an error.
    Whole,
    /// Defects are kept in the study, as long as the files can be read at all.
    WithDefects,
}

/// Checks the run at `dir` and computes its numbers.
///
/// # Errors
/// The directory or a file in it cannot be read; or it has defects and `trust` wants none.
pub fn load(dir: &Path, trust: Trust) -> Result<Study, Error> {
    let findings = check(dir)?;
    if let Some(first) = findings.defects.first()
        && (trust == Trust::Whole || !findings.readable)
    {
        let (count, first) = (findings.defects.len(), first.clone());
        return Err(Error::Defects { dir: dir.to_owned(), count, first });
    }
    let experiment = read_experiment(dir)?;
    let run = read_run(dir)?;
    Ok(study(&run, &experiment, findings))
}
