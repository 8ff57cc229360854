//! All checks of a run, one after the other.

use std::path::Path;

use wamr_record::experiment::Experiment;
use wamr_record::manifest::Manifest;

use super::defect::Defect;
use super::{cells, files, lines};
use crate::error::Error;
use crate::experiment::read_experiment;

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Every defect, by path and line.
    pub defects: Vec<Defect>,
    /// Files whose digest was compared.
    pub files: usize,
    /// Bytes whose digest was compared.
    pub bytes: u64,
    /// Cells that were read.
    pub cells: usize,
    /// False if the tree holds something that must not even be opened, like a pipe or a link.
    pub readable: bool,
}

/// Checks the run at `dir`.
///
/// # Errors
/// Only if `dir` itself cannot be read; everything else is a [`Defect`].
pub fn check(dir: &Path) -> Result<Findings, Error> {
    let survey = files::survey(dir)?;
    let mut defects = survey.defects.clone();
    let readable = defects.is_empty();
    let mut findings = Findings { defects: Vec::new(), files: 0, bytes: 0, cells: 0, readable };
    if survey.has(files::MANIFEST) {
        match lines::json::<Manifest>(dir, files::MANIFEST) {
            Ok(manifest) => {
                let compared = files::compare(dir, &survey, &manifest, &mut defects);
                (findings.files, findings.bytes) = compared;
            }
            Err(defect) => defects.push(defect),
        }
    } else {
        defects.push(Defect::file(files::MANIFEST, "missing: the run was not finished"));
    }
    lines::small_files(dir, &survey, &mut defects);
    let experiment = if survey.has("experiment.toml") {
        read_experiment(dir).unwrap_or_else(|error| {
            defects.push(experiment_defect(&error));
            Experiment::default()
        })
    } else {
        defects.push(Defect::file("experiment.toml", "missing"));
        Experiment::default()
    };
    findings.cells = cells::check(dir, &survey, &experiment, &mut defects);
    defects.sort();
    defects.dedup();
    findings.defects = defects;
    Ok(findings)
}

fn experiment_defect(error: &Error) -> Defect {
    match error {
        Error::Experiment { line, source, .. } => {
            Defect::at("experiment.toml", Some(*line), source.message())
        }
        Error::Read(source) => Defect::file("experiment.toml", lines::chain(source)),
        other => Defect::file("experiment.toml", other),
    }
}
