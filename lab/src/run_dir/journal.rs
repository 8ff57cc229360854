//! `journal.ndjson`: what happened, as it happened. It survives a run that does not end well.

use std::fs::{self, File};
use std::sync::{Mutex, PoisonError};

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::Serialize;
use serde_json::Value;

use super::writer::{RunWriter, create_new, write_line};
use crate::clock::now_ns;

/// The event of a run that goes on.
pub const RESUMED: &str = "resumed";

/// The event that tells whose heaps are collected.
pub const HEAPS: &str = "heaps";

/// The open journal.
#[derive(Debug)]
pub struct Journal(Mutex<File>);

#[derive(Serialize)]
struct Line<'a> {
    at_ns: i64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<&'a str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: Value,
}

impl Journal {
    /// Begins the journal of `run`.
    ///
    /// # Errors
    /// The file exists or cannot be made.
    pub fn create(run: &RunWriter) -> Result<Self> {
        Ok(Self(Mutex::new(create_new(&run.path("journal.ndjson")?)?)))
    }

    /// Goes on with the journal of a run that was broken off.
    ///
    /// # Errors
    /// The system refuses.
    pub fn reopen(run: &RunWriter) -> Result<Self> {
        let path = run.path("journal.ndjson")?;
        let file = File::options().create(true).append(true).open(&path);
        let shown = || format!("open {}", path.display());
        Ok(Self(Mutex::new(file.into_diagnostic().wrap_err_with(shown)?)))
    }

    /// When the run was resumed so far, by the journal's own lines.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn resumed_ns(run: &RunWriter) -> Result<Vec<i64>> {
        Ok(events(run, RESUMED)?.iter().filter_map(|line| line["at_ns"].as_i64()).collect())
    }

    /// The daemons whose heaps were collected, by the journal's own lines.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn heaps_collected(run: &RunWriter) -> Result<Vec<String>> {
        let told = events(run, HEAPS)?.pop().unwrap_or_default();
        Ok(serde_json::from_value(told["detail"]["collected"].clone()).unwrap_or_default())
    }

    /// Writes a line. A journal that cannot be written does not stop a measurement: it is told on
    /// the log, and the disk that is full stops the run at the next sample.
    pub fn note(&self, event: &str, cell: Option<&str>, detail: Value) {
        let line = Line { at_ns: now_ns(), event, cell, detail };
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write_line(&mut *file, &line) {
            tracing::warn!(%error, event, "the journal could not be written");
        }
    }
}

/// The lines of an event.
fn events(run: &RunWriter, event: &str) -> Result<Vec<Value>> {
    let path = run.path("journal.ndjson")?;
    let text = fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {}", path.display()))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(lines.filter(|line| line["event"] == event).collect())
}

#[test]
fn a_line_per_event() {
    let parent = tempfile::tempdir().unwrap();
    let run = RunWriter::create(&parent.path().join("run")).unwrap();
    let journal = Journal::create(&run).unwrap();
    journal.note("begin", None, Value::Null);
    journal.note("level", Some("0000-x"), serde_json::json!({ "seconds": 20 }));
    let text = fs::read_to_string(run.dir().join("journal.ndjson")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "begin");
    assert_eq!(lines[0].as_object().unwrap().len(), 2);
    let again = Journal::reopen(&run).unwrap();
    again.note(RESUMED, None, Value::Null);
    again.note("end", None, Value::Null);
    assert_eq!(Journal::resumed_ns(&run).unwrap().len(), 1);
    assert_eq!(Journal::heaps_collected(&run).unwrap(), Vec::<String>::new());
    again.note(HEAPS, None, serde_json::json!({ "collected": ["etcd"] }));
    assert_eq!(Journal::heaps_collected(&run).unwrap(), ["etcd"]);
    assert_eq!((&lines[1]["cell"], &lines[1]["detail"]["seconds"]), (&"0000-x".into(), &20.into()));
}
