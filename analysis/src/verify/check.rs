//! All checks of a run, one after the other.

use std::path::Path;

use wamr_record::experiment::Experiment;
use wamr_record::manifest::Manifest;

use super::defect::Defect;
use super::files::Survey;
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

impl Findings {
    /// The defects by path and line, each once.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.defects.sort();
        self.defects.dedup();
        self
    }
}

/// Checks the run at `dir`.
///
/// # Errors
/// Only if `dir` itself cannot be read; everything else is a [`Defect`].
pub fn check(dir: &Path) -> Result<Findings, Error> {
    let (survey, mut findings) = check_files(dir)?;
    let defects = &mut findings.defects;
    let experiment = if survey.has("experiment.toml") {
        read_experiment(dir).unwrap_or_else(|error| {
            defects.push(experiment_defect(&error));
            Experiment::default()
        })
    } else {
        defects.push(Defect::file("experiment.toml", "missing"));
        Experiment::default()
    };
    findings.cells = cells::check(dir, &survey, &experiment, defects);
    Ok(findings.in_order())
}

/// What every run has, whatever was measured: its files with their digests, and the small ones.
///
/// # Errors
/// Those of [`check`].
pub fn check_files(dir: &Path) -> Result<(Survey, Findings), Error> {
    let survey = files::survey(dir)?;
    let mut defects = survey.defects.clone();
    let readable = defects.is_empty();
    let (mut files, mut bytes) = (0, 0);
    if survey.has(files::MANIFEST) {
        match lines::json::<Manifest>(dir, files::MANIFEST) {
            Ok(manifest) => {
                (files, bytes) = files::compare(dir, &survey, &manifest, &mut defects);
            }
            Err(defect) => defects.push(defect),
        }
    } else {
        defects.push(Defect::file(files::MANIFEST, "missing: the run was not finished"));
    }
    lines::small_files(dir, &survey, &mut defects);
    Ok((survey, Findings { defects, files, bytes, cells: 0, readable }))
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
