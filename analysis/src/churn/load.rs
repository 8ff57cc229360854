//! Reads a run of `wamr-lab churn` after checking it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wamr_record::churn::{Churn, NAME, parse_series};
use wamr_record::environment::Environment;
use wamr_record::manifest::Manifest;
use wamr_record::reader::read_json;

use super::trends::{ChurnStudy, Facts, SystemSeries, study};
use crate::error::Error;
use crate::load::{Trust, accept};
use crate::verify::check::{Findings, check_files};
use crate::verify::defect::Defect;
use crate::verify::{files, lines};

/// Files above this size are refused, as by the reader.
const FILE_LIMIT_BYTES: u64 = 1 << 30;

/// Checks the run at `dir` and computes its numbers.
///
/// # Errors
/// The directory or a file in it cannot be read; or it has defects and `trust` wants none.
pub fn load(dir: &Path, trust: Trust) -> Result<ChurnStudy, Error> {
    let (findings, series) = read(dir)?;
    accept(&findings, dir, trust)?;
    let manifest: Manifest = read_json(&dir.join(files::MANIFEST))?;
    let churn: Churn = read_json(&dir.join(NAME))?;
    let environment: Environment = read_json(&dir.join("environment.json"))?;
    let facts = Facts {
        name: manifest.run,
        title: manifest.title,
        lab_version: manifest.lab_version,
        begin_ns: manifest.begin_ns,
        end_ns: manifest.end_ns,
        files_compared: findings.files,
    };
    Ok(study(facts, environment, churn, &series, findings.defects))
}

/// Checks the run at `dir`: digests, missing and unknown files, and every line.
///
/// # Errors
/// Only if `dir` itself cannot be read; everything else is a [`Defect`].
pub fn check(dir: &Path) -> Result<Findings, Error> {
    Ok(read(dir)?.0)
}

/// What is wrong with the run, and the readings of each system by the name of their file.
fn read(dir: &Path) -> Result<(Findings, BTreeMap<String, SystemSeries>), Error> {
    let (survey, mut findings) = check_files(dir)?;
    let defects = &mut findings.defects;
    let mut series = BTreeMap::new();
    match lines::json::<Churn>(dir, NAME) {
        Ok(churn) => {
            for system in &churn.systems {
                match read_series(dir, &system.file, &survey) {
                    Ok(read) => drop(series.insert(system.file.clone(), read)),
                    Err(defect) => defects.push(defect),
                }
            }
        }
        Err(defect) => defects.push(defect),
    }
    findings.cells = series.len();
    Ok((findings.in_order(), series))
}

fn read_series(dir: &Path, name: &str, survey: &files::Survey) -> Result<SystemSeries, Defect> {
    let Some(&size_bytes) = survey.files.get(name).filter(|_| name.starts_with("series/")) else {
        return Err(Defect::file(name, "missing, or not below series/"));
    };
    if size_bytes > FILE_LIMIT_BYTES {
        return Err(Defect::file(name, format!("{size_bytes} bytes: no run file is so large")));
    }
    let text = fs::read_to_string(dir.join(name)).map_err(|error| Defect::file(name, error))?;
    let readings =
        parse_series(&text).map_err(|wrong| Defect::at(name, Some(wrong.line), wrong.text))?;
    Ok(SystemSeries::of(&readings))
}
