//! The tree of a run: which files lie there, and whether they are the ones of the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use wamr_record::SCHEMA_VERSION;
use wamr_record::manifest::{Manifest, digest_file};
use wamr_record::reader::ReadError;

use super::defect::Defect;
use crate::error::Error;

/// The file that lists all others.
pub const MANIFEST: &str = "manifest.json";

/// Where `wamr-report build` puts its output unless told otherwise; not part of the run.
pub const REPORT: &str = "report";

/// Directories below each other; a run has three.
const MAX_DEPTH: usize = 8;

/// Entries of a tree; a run of thousands of cells stays far below.
const MAX_ENTRIES: usize = 1_000_000;

/// Everything below a run directory.
#[derive(Debug, Default)]
pub struct Survey {
    /// Regular files: path relative to the run, size in bytes.
    pub files: BTreeMap<String, u64>,
    /// Names of the directories below `cells`.
    pub cells: BTreeSet<String>,
    /// Entries that are neither regular file nor directory, or have no readable name.
    pub defects: Vec<Defect>,
}

impl Survey {
    /// True if there is a regular file at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// Walks the tree at `dir`; links are not followed, nothing is opened.
///
/// # Errors
/// `dir` or a directory in it cannot be listed.
pub fn survey(dir: &Path) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let mut entries = 0;
    walk(dir, "", 0, &mut entries, &mut survey)?;
    Ok(survey)
}

fn walk(
    dir: &Path,
    prefix: &str,
    depth: usize,
    entries: &mut usize,
    survey: &mut Survey,
) -> Result<(), Error> {
    let failed = |source| ReadError::Io { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if prefix.is_empty() && (path == REPORT || path.starts_with(".report.")) {
            continue;
        }
        *entries += 1;
        let kind = entry.file_type().map_err(failed)?;
        let mut refuse = |text| survey.defects.push(Defect::file(&path, text));
        if entry.file_name().to_str().is_none() {
            refuse("the name is not UTF-8");
        } else if *entries > MAX_ENTRIES {
            refuse("more than a million entries: this is no run directory");
            return Ok(());
        } else if kind.is_dir() {
            if depth + 1 >= MAX_DEPTH {
                refuse("directories are nested deeper than in any run");
                continue;
            }
            if prefix == "cells/" {
                survey.cells.insert(name);
            }
            walk(&entry.path(), &format!("{path}/"), depth + 1, entries, survey)?;
        } else if kind.is_file() {
            let size_bytes = entry.metadata().map_err(failed)?.len();
            survey.files.insert(path, size_bytes);
        } else {
            refuse("neither a regular file nor a directory: a run holds no links, pipes, devices");
        }
    }
    Ok(())
}

/// Compares the tree with the manifest; returns how many files and bytes were digested.
pub fn compare(
    dir: &Path,
    survey: &Survey,
    manifest: &Manifest,
    defects: &mut Vec<Defect>,
) -> (usize, u64) {
    if manifest.schema_version == 0 || manifest.schema_version > SCHEMA_VERSION {
        let text = format!(
            "schema version {}, this program knows 1 to {SCHEMA_VERSION}",
            manifest.schema_version
        );
        defects.push(Defect::file(MANIFEST, text));
    }
    let (mut files, mut bytes) = (0, 0);
    for (path, promised) in &manifest.files {
        if !is_plain(path) {
            defects.push(Defect::file(MANIFEST, format!("lists a path outside the run: {path}")));
            continue;
        }
        let Some(&size_bytes) = survey.files.get(path) else {
            defects.push(Defect::file(path, "missing: the manifest lists it"));
            continue;
        };
        if size_bytes != promised.size_bytes {
            let text = format!("{size_bytes} bytes, the manifest says {}", promised.size_bytes);
            defects.push(Defect::file(path, text));
            continue;
        }
        files += 1;
        bytes += size_bytes;
        match digest_file(&dir.join(path)) {
            Ok(found) if found.sha256 == promised.sha256 => {}
            Ok(found) => {
                let text =
                    format!("sha256 {}, the manifest says {}", found.sha256, promised.sha256);
                defects.push(Defect::file(path, text));
            }
            Err(error) => defects.push(Defect::file(path, error)),
        }
    }
    for path in survey.files.keys() {
        if path != MANIFEST && !manifest.files.contains_key(path) {
            defects.push(Defect::file(path, "unknown: the manifest does not list it"));
        }
    }
    (files, bytes)
}

fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[test]
fn paths_that_leave_the_run_are_seen() {
    for (path, plain) in [
        ("cells/a/b", true),
        ("../x", false),
        ("/etc/passwd", false),
        ("a/../../b", false),
        ("", false),
    ] {
        assert_eq!(is_plain(path), plain, "{path}");
    }
}
