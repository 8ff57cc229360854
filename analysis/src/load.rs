//! Reads a run after checking it.

use std::path::Path;

use wamr_record::reader::read_run;

use crate::error::Error;
use crate::experiment::read_experiment;
use crate::study::{Study, study};
use crate::verify::check::{Findings, check};

/// Whether a run with defects is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Any defect is an error.
    Whole,
    /// Defects are kept in the study, as long as the files can be read at all.
    WithDefects,
}

/// Whether the run at `dir`, in which `findings` were made, may be read.
///
/// # Errors
/// [`Error::Defects`]: there are some, and `trust` wants none or the files cannot be read.
pub fn accept(findings: &Findings, dir: &Path, trust: Trust) -> Result<(), Error> {
    let Some(first) = findings.defects.first() else { return Ok(()) };
    if trust == Trust::WithDefects && findings.readable {
        return Ok(());
    }
    let (count, first) = (findings.defects.len(), first.clone());
    Err(Error::Defects { dir: dir.to_owned(), count, first })
}

/// Checks the run at `dir` and computes its numbers.
///
/// # Errors
/// The directory or a file in it cannot be read; or it has defects and `trust` wants none.
pub fn load(dir: &Path, trust: Trust) -> Result<Study, Error> {
    let findings = check(dir)?;
    accept(&findings, dir, trust)?;
    let experiment = read_experiment(dir)?;
    let run = read_run(dir)?;
    Ok(study(&run, &experiment, findings))
}
