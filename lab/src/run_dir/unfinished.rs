//! A run that was broken off: what is done, and what has to be tidied before it goes on.
//!
//! The files of a cell are written together when it ends, `cell.json` last. So a directory without
//! it is a torn write and is taken away; a cell with it is kept as it is.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_record::cell::{Cell, Verdict};
use wamr_record::reader::read_json;

use super::manifest::NAME as MANIFEST;

/// The cells that are done: directory name → what came of them.
pub type Done = BTreeMap<String, Judged>;

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whether it may be used.
    pub verdict: Verdict,
    /// The experiment's thresholds that its pods exceeded, in words.
    pub exceeded: Vec<String>,
}

/// True if the run at `dir` has its manifest.
pub fn is_complete(dir: &Path) -> bool {
    dir.join(MANIFEST).exists()
}

/// The cells of the run at `dir` that are done. Changes nothing: the run may be under way.
///
/// # Errors
/// The directory or a `cell.json` cannot be read.
pub fn done(dir: &Path) -> Result<Done> {
    let mut done = Done::new();
    for path in cell_dirs(dir)? {
        let file = path.join("cell.json");
        if file.exists() {
            let cell: Cell = read_json(&file).into_diagnostic()?;
            let Cell { verdict, exceeded, .. } = cell;
            done.insert(cell.id, Judged { verdict, exceeded });
        }
    }
    Ok(done)
}

/// Takes away what was half written when the run was broken off; returns the torn cells' names.
///
/// # Errors
/// The run is complete, or is none, or the system refuses.
pub fn tidy(dir: &Path) -> Result<Vec<String>> {
    if is_complete(dir) {
        return Err(miette!("{} is complete: there is nothing to resume", dir.display()));
    }
    if !dir.join("experiment.toml").exists() {
        return Err(miette!(
            help = "give the directory that the interrupted run was written to",
            "{} is not the directory of a run: it has no experiment.toml",
            dir.display()
        ));
    }
    let mut torn = Vec::new();
    for path in cell_dirs(dir)? {
        if !path.join("cell.json").exists() {
            fs::remove_dir_all(&path).into_diagnostic().wrap_err_with(|| remove(&path))?;
            torn.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    cut_torn_line(&dir.join("journal.ndjson"))
        .into_diagnostic()
        .wrap_err_with(|| format!("mend the journal of {}", dir.display()))?;
    Ok(torn)
}

/// How the run first began.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// When.
    pub at_ns: i64,
    /// Which cells were asked for, if not all.
    pub only: Vec<String>,
}

/// How the run first began, by the first line of its journal; `None` without one.
pub fn begin(dir: &Path) -> Option<Begin> {
    let text = fs::read_to_string(dir.join("journal.ndjson")).ok()?;
    let line: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    let only = serde_json::from_value(line["detail"]["only"].clone()).unwrap_or_default();
    Some(Begin { at_ns: line["at_ns"].as_i64()?, only })
}

fn remove(path: &Path) -> String {
    format!("take away the half-written cell {}", path.display())
}

fn cell_dirs(dir: &Path) -> Result<Vec<PathBuf>> {
    let cells = dir.join("cells");
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut dirs = Vec::new();
        for entry in fs::read_dir(&cells)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
        dirs.sort();
        Ok(dirs)
    };
    match read() {
        // Broken off before its first cell ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.into_diagnostic().wrap_err_with(|| format!("list {}", cells.display())),
    }
}

/// A process that is killed while it writes leaves a line without its end.
fn cut_torn_line(path: &Path) -> io::Result<()> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < text.len() {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::writer::RunWriter;

    fn cell(id: &str) -> serde_json::Value {
        serde_json::json!({
            "id": id, "order": 0, "runtime": "r", "runtime_title": "R", "ours": false,
            "language": "wasm", "workload": "w", "pods": 1, "repetition": 1, "phases": [],
            "verdict": { "state": "valid", "notes": [] },
        })
    }

    #[test]
    fn whole_cells_are_kept_and_torn_ones_taken_away() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunWriter::create(&parent.path().join("run")).unwrap();
        let dir = run.dir();
        assert!(tidy(dir).is_err(), "no experiment");
        run.write("experiment.toml", "").unwrap();
        assert_eq!((tidy(dir).unwrap(), done(dir).unwrap().len()), (vec![], 0), "no cell yet");
        run.write_json("cells/0000-a/cell.json", &cell("0000-a")).unwrap();
        run.write("cells/0001-b/samples.ndjson", "").unwrap();
        let begun = "{\"at_ns\":5,\"event\":\"begin\",\"detail\":{\"only\":[\"n1\"]}}\n";
        run.write("journal.ndjson", format!("{begun}{{\"at_")).unwrap();
        assert_eq!(done(dir).unwrap().into_keys().collect::<Vec<_>>(), ["0000-a"]);
        assert!(dir.join("cells/0001-b").exists(), "looking changes nothing");
        assert_eq!(tidy(dir).unwrap(), ["0001-b"]);
        assert_eq!(tidy(dir).unwrap(), Vec::<String>::new(), "twice in a row");
        assert!(!dir.join("cells/0001-b").exists());
        let journal = fs::read_to_string(dir.join("journal.ndjson")).unwrap();
        assert_eq!(journal, begun);
        assert_eq!(begin(dir), Some(Begin { at_ns: 5, only: vec!["n1".to_owned()] }));
        run.write(MANIFEST, "{}").unwrap();
        assert!(tidy(dir).unwrap_err().to_string().contains("complete"));
    }
}
