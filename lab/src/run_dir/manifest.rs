//! `manifest.json`, written last and at once: its presence says that the run is complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use wamr_record::SCHEMA_VERSION;
use wamr_record::manifest::{FileDigest, Manifest, digest_file};

use super::writer::RunWriter;
use crate::clock::now_ns;

/// The file's name.
pub const NAME: &str = "manifest.json";

/// What the manifest says of a run beside its files.
#[derive(Debug, Default)]
pub struct Story<'a> {
    /// The experiment's title.
    pub title: &'a str,
    /// When it began.
    pub begin_ns: i64,
    /// When it was resumed.
    pub resumed_ns: Vec<i64>,
    /// Which cells were asked for, if not all.
    pub only: Vec<String>,
    /// Which daemons were asked to collect their heap.
    pub heaps_collected: Vec<String>,
}

/// Digests every file of the run and writes the manifest.
///
/// # Errors
/// A file cannot be read, or the manifest not written.
pub fn finish(run: &RunWriter, story: Story<'_>) -> Result<()> {
    let mut files = BTreeMap::new();
    digest_tree(run.dir(), "", &mut files)?;
    let name = run.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        run: name,
        title: story.title.to_owned(),
        lab_version: env!("CARGO_PKG_VERSION").to_owned(),
        begin_ns: story.begin_ns,
        end_ns: now_ns(),
        resumed_ns: story.resumed_ns,
        only: story.only,
        heaps_collected: story.heaps_collected,
        files,
    };
    // Renamed into place: a reader never sees half of it.
    run.write_json(".manifest.json", &manifest)?;
    fs::rename(run.dir().join(".manifest.json"), run.dir().join(NAME))
        .into_diagnostic()
        .wrap_err("put manifest.json in its place")
}

fn digest_tree(root: &Path, below: &str, files: &mut BTreeMap<String, FileDigest>) -> Result<()> {
    let dir = root.join(below);
    let shown = || format!("digest the files of {}", dir.display());
    for entry in fs::read_dir(&dir).into_diagnostic().wrap_err_with(shown)? {
        let entry = entry.into_diagnostic().wrap_err_with(shown)?;
        let slash = if below.is_empty() { "" } else { "/" };
        let name = format!("{below}{slash}{}", entry.file_name().to_string_lossy());
        if entry.file_type().into_diagnostic().wrap_err_with(shown)?.is_dir() {
            digest_tree(root, &name, files)?;
        } else if name != NAME {
            files.insert(name, digest_file(&entry.path()).into_diagnostic().wrap_err_with(shown)?);
        }
    }
    Ok(())
}

#[test]
fn every_file_but_itself_is_listed() {
    let parent = tempfile::tempdir().unwrap();
    let run = RunWriter::create(&parent.path().join("run-1")).unwrap();
    run.write("experiment.toml", "abc").unwrap();
    run.write("cells/c/failure/logs/p.log", "").unwrap();
    finish(&run, Story { title: "title", begin_ns: 5, ..Story::default() }).unwrap();
    let manifest: Manifest = wamr_record::reader::read_json(&run.dir().join(NAME)).unwrap();
    let names: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["cells/c/failure/logs/p.log", "experiment.toml"]);
    assert_eq!(manifest.files["experiment.toml"].size_bytes, 3);
    assert_eq!((manifest.run.as_str(), manifest.begin_ns), ("run-1", 5));
}
