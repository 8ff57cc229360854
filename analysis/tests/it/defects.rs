//! `verify` finds every kind of damage and names the place.

use std::fs;
use std::path::Path;

use wamr_report::error::Error;
use wamr_report::load::{Trust, load};
use wamr_report::verify::check::check;

use super::synthetic::{BEGIN_NS, Recipe, write_manifest, write_run};

const CELL: &str = "cells/0000-crun-wasmedge-microservice-wasm-n10-r1";

fn edit(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "the edit of {} changes nothing", path.display());
    fs::write(path, changed).unwrap();
}

/// The defects of a run after `damage`, as lines; `sealed` writes a fresh manifest over it.
fn lines_after(damage: impl Fn(&Path), sealed: bool) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), &Recipe::demo());
    assert_eq!(check(dir.path()).unwrap().defects, [], "sound before the damage");
    damage(dir.path());
    if sealed {
        write_manifest(dir.path(), BEGIN_NS);
    }
    check(dir.path()).unwrap().defects.iter().map(ToString::to_string).collect()
}

fn assert_has(lines: &[String], start: &str, words: &str) {
    let has = lines.iter().any(|line| line.starts_with(start) && line.contains(words));
    assert!(has, "no {start} with {words:?} in {lines:#?}");
}

#[test]
fn a_flipped_byte_is_found() {
    let lines = lines_after(
        |run| {
            let path = run.join("environment.json");
            let mut bytes = fs::read(&path).unwrap();
            let place = bytes.windows(3).position(|bytes| bytes == b"KVM").unwrap();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
        },
        false,
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_has(&lines, "environment.json: sha256", "the manifest says");
}

#[test]
fn missing_extra_and_foreign_entries_are_found() {
    let lines = lines_after(
        |run| {
            fs::remove_file(run.join(CELL).join("pods.ndjson")).unwrap();
            fs::write(run.join("notes.txt"), "x").unwrap();
            fs::create_dir(run.join("cells/left-over")).unwrap();
            std::os::unix::fs::symlink("/dev/zero", run.join("cells/zero")).unwrap();
            fs::create_dir(run.join("report")).unwrap();
            fs::write(run.join("report/index.html"), "not part of the run").unwrap();
        },
        false,
    );
    assert_has(&lines, &format!("{CELL}/pods.ndjson"), "missing");
    assert_has(&lines, "notes.txt", "unknown");
    assert_has(&lines, "cells/left-over/cell.json", "missing");
    assert_has(&lines, "cells/zero", "neither a regular file");
    assert!(!lines.iter().any(|line| line.starts_with("report")), "{lines:#?}");
}

type Damage = fn(&str) -> String;

/// File of the first cell, what is done to it, where the defect is named, words of it.
const DAMAGES: &[(&str, Damage, &str, &str)] = &[
    (
        "samples.ndjson",
        |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let place = lines
                .iter()
                .position(|line| line.contains("\"plateau\"") && line.contains("meminfo"))
                .unwrap();
            lines[place] = lines[place].replace("\"pods_running\":10", "\"pods_running\":9");
            lines.join("\n") + "\n"
        },
        "samples.ndjson:",
        "9 of 10 pods run",
    ),
    (
        "samples.ndjson",
        |text| {
            let kept = text.lines().filter(|line| {
                !(line.contains("\"plateau\"") && line.contains("\"source\":\"meminfo\""))
            });
            kept.collect::<Vec<_>>().join("\n") + "\n"
        },
        "samples.ndjson:",
        "0 samples of /proc/meminfo on the plateau, promised 5",
    ),
    (
        "pods.ndjson",
        |text| text.lines().take(9).collect::<Vec<_>>().join("\n") + "\n",
        "pods.ndjson:",
        "9 pods, the cell has 10",
    ),
    (
        "pods.ndjson",
        |text| text.replacen("\"first_instruction_ns\":17", "\"first_instruction_ns\":1", 1),
        "pods.ndjson:1:",
        "started before",
    ),
    (
        "evidence.json",
        |text| text.replacen("\"engine_proven\": true", "\"engine_proven\": false", 1),
        "evidence.json:",
        "9 of 10 containers proven",
    ),
    (
        "cell.json",
        |text| text.replacen("\"order\": 0", "\"order\": 1", 1),
        "cell.json",
        "order 1 is also that of",
    ),
    (
        "samples.ndjson",
        |text| text[..text.len() - 20].to_owned(),
        "samples.ndjson:",
        "EOF while parsing",
    ),
    (
        "samples.ndjson",
        |text| text.replacen("\"free_bytes\":2", "\"free_bytes\":9", 1),
        "samples.ndjson:1:",
        "more than MemTotal",
    ),
    (
        "samples.ndjson",
        |text| text.replacen("\"taken_ns\":17", "\"taken_ns\":16", 1),
        "samples.ndjson:1:",
        "taken outside of Before",
    ),
    (
        "attribution.ndjson",
        |text| text.replacen("\"private_dirty_bytes\":", "\"private_dirty_bytes\":9", 1),
        "attribution.ndjson:1:",
        "more than Rss",
    ),
    ("attribution.ndjson", |text| text.trim_end().to_owned(), "attribution.ndjson:", "truncated"),
    (
        "cell.json",
        |text| text.replacen("\"runtime\"", "\"runtimes\"", 1),
        "cell.json:",
        "unknown field",
    ),
];

#[test]
fn counts_that_disagree_are_found_under_a_fresh_manifest() {
    for (file, damage, start, words) in DAMAGES {
        let lines = lines_after(|run| edit(&run.join(CELL).join(file), damage), true);
        // Two cells claim the order; either may be named.
        let start =
            if *file == "cell.json" { "cells/".to_owned() } else { format!("{CELL}/{start}") };
        assert_has(&lines, &start, words);
    }
}

#[test]
fn manifests_that_lie_or_lack_are_found() {
    let lines = lines_after(|run| fs::remove_file(run.join("manifest.json")).unwrap(), false);
    assert_has(&lines, "manifest.json", "not finished");
    let outside = |text: &str| text.replacen("\"journal.ndjson\"", "\"../journal.ndjson\"", 1);
    let lines = lines_after(|run| edit(&run.join("manifest.json"), outside), false);
    assert_has(&lines, "manifest.json", "outside the run");
    let newer = |text: &str| text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1);
    let lines = lines_after(|run| edit(&run.join("manifest.json"), newer), false);
    assert_has(&lines, "manifest.json", "schema version 9");
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    let lines = lines_after(|run| edit(&run.join("manifest.json"), cut), false);
    assert_has(&lines, "manifest.json:", "EOF");
}

#[test]
fn a_run_with_defects_is_refused_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), &Recipe::demo());
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    let refused = load(dir.path(), Trust::Whole);
    assert!(matches!(refused, Err(Error::Defects { count: 1, .. })), "{refused:?}");
    let study = load(dir.path(), Trust::WithDefects).unwrap();
    assert_eq!(study.defects.len(), 1);
    let files = wamr_report::report::render::render(&study).unwrap();
    let html = String::from_utf8(files["index.html"].clone()).unwrap();
    assert!(html.contains("notes.txt"));
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("cells/zero")).unwrap();
    assert!(load(dir.path(), Trust::WithDefects).is_err(), "a link is never followed");
}
