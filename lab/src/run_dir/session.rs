//! The run directory as one command works on it: begun, or gone on with after an interruption.

use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;
use miette::{Result, miette};
use serde_json::{Value, json};
use wamr_record::environment::Environment;
use wamr_record::experiment::Experiment;
use wamr_record::reader::read_json;

use super::journal::{Journal, RESUMED};
use super::manifest::{self, Story};
use super::unfinished::{self, Begin, Done};
use super::writer::RunWriter;
use crate::clock::now_ns;

/// An open run.
#[derive(Debug)]
pub struct Session {
    /// Where it is written.
    pub run: RunWriter,
    /// What happened.
    pub journal: Journal,
    /// Cells that an earlier command measured.
    pub done: Done,
    begin: Begin,
    /// What the run's first command asked for.
    first_only: Vec<String>,
}

impl Session {
    /// Begins a run of the cells whose names contain one of `only`, or of all without any.
    ///
    /// # Errors
    /// The directory is not empty, or cannot be written.
    pub fn begin(experiment: &Experiment, dir: &Path, only: Vec<String>) -> Result<Self> {
        let run = RunWriter::create(dir)?;
        run.write("experiment.toml", &experiment.text)?;
        let journal = Journal::create(&run)?;
        let begin = Begin { at_ns: now_ns(), only };
        journal.note("begin", None, json!({ "title": experiment.title, "only": begin.only }));
        let first_only = begin.only.clone();
        Ok(Self { run, journal, done: Done::new(), begin, first_only })
    }

    /// Goes on with the run at `dir`. `only` narrows what is left; without it, the run's own
    /// choice holds.
    ///
    /// # Errors
    /// The run is complete, or is none, or cannot be read.
    pub fn resume(dir: &Path, only: Vec<String>) -> Result<Self> {
        let torn = unfinished::tidy(dir)?;
        let run = RunWriter::reopen(dir)?;
        let mut begin = unfinished::begin(run.dir())
            .unwrap_or_else(|| Begin { at_ns: now_ns(), ..Begin::default() });
        let first_only = begin.only.clone();
        if !only.is_empty() {
            begin.only = only;
        }
        let journal = Journal::reopen(&run)?;
        journal.note(RESUMED, None, json!({ "torn": torn }));
        let done = unfinished::done(run.dir())?;
        Ok(Self { run, journal, done, begin, first_only })
    }

    /// True if the cell of this name is asked for.
    pub fn wants(&self, cell_id: &str) -> bool {
        chosen(&self.begin.only, cell_id)
    }

    /// True if the run's first command asked for the cell of this name.
    pub fn began_with(&self, cell_id: &str) -> bool {
        chosen(&self.first_only, cell_id)
    }

    /// Writes down the machine, or makes sure that it is still the one the run began on: cells of
    /// two machines or of two builds must not be mixed.
    ///
    /// # Errors
    /// Something differs; the text names it.
    pub fn record_environment(&self, environment: &Environment) -> Result<()> {
        const NAME: &str = "environment.json";
        let path = self.run.dir().join(NAME);
        if !path.exists() {
            return self.run.write_json(NAME, environment);
        }
        let before: Environment = read_json(&path).map_err(|error| miette!("{error}"))?;
        match differences(&json!(before), &json!(environment)).as_slice() {
            [] => Ok(()),
            changed => Err(miette!(
                help = "go back to the programs and the machine it began with, or begin a new run",
                "this run began with another {}: its cells could not be compared",
                changed.join(", another ")
            )),
        }
    }

    /// Writes the manifest: from now on the run is complete.
    ///
    /// # Errors
    /// A file cannot be read, or the manifest not be written.
    pub fn finish(&self, title: &str) -> Result<()> {
        self.journal.note("end", None, Value::Null);
        manifest::finish(
            &self.run,
            Story {
                title,
                begin_ns: self.begin.at_ns,
                resumed_ns: Journal::resumed_ns(&self.run)?,
                only: self.begin.only.clone(),
                heaps_collected: Journal::heaps_collected(&self.run)?,
            },
        )
    }
}

/// `runs/2026-01-31-235959-NAME`, in local time.
pub fn default_dir(name: &str) -> PathBuf {
    let now = ZonedDateTime::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    Path::new("runs").join(format!("{now}-{name}"))
}

/// True if `only` is empty or one of its parts is in the cell's name.
pub fn chosen(only: &[String], cell_id: &str) -> bool {
    only.is_empty() || only.iter().any(|part| cell_id.contains(part.as_str()))
}

/// Names of the fields that differ.
fn differences(before: &Value, after: &Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let after = after.as_object().unwrap_or(&empty);
    let differs = |(name, value): &(&String, &Value)| after.get(*name) != Some(*value);
    before.iter().filter(differs).map(|(name, _)| name.replace('_', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_choose_cells() {
        let only = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let id = "0003-wamr-crun-microservice-wasm-n10-r1";
        for (parts, wanted) in [
            (only(&[]), true),
            (only(&["wamr-crun"]), true),
            (only(&["runc", "n10-"]), true),
            (only(&["runc-python", "n100"]), false),
        ] {
            assert_eq!(chosen(&parts, id), wanted, "{parts:?}");
        }
    }

    #[test]
    fn fields_that_differ_are_named() {
        let before = json!({ "cpus": 2, "cpu_model": "a", "images": { "x": "1" } });
        let after = json!({ "cpus": 2, "cpu_model": "b", "images": { "x": "2" } });
        assert_eq!(differences(&before, &after), ["cpu model", "images"]);
        assert_eq!(differences(&before, &before), Vec::<String>::new());
    }
}
