//! Runs that are ended early.
//!
//! Tier: full

use std::fs;
use std::time::Duration;

use wamr_record::manifest::digest_file;
use wamr_record::reader::read_run;

use crate::PODS;
use crate::fixture::{Fixture, SERIES_DEFAULT};
use crate::traces;

#[test]
fn an_interrupted_run_leaves_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    let experiment = fixture.experiment(&["runc-python:microservice-python"], PODS);
    let mut lab = fixture.start(&experiment, &[]);
    lab.wait_for_event("pods-started");
    lab.interrupt();
    let finished = lab.wait();
    traces::assert_none(lab.id());
    assert_eq!(finished.code, Some(130), "{}", finished.text);
    assert!(!fixture.run_dir().join("manifest.json").exists());
    let journal = fs::read_to_string(fixture.run_dir().join("journal.ndjson")).unwrap();
    assert!(journal.lines().last().is_some_and(|line| line.contains("interrupted")), "{journal}");
}

/// The lab is killed outright: the node must end by itself, and the run can go on.
#[test]
fn a_killed_lab_leaves_nothing_and_its_run_can_be_resumed() {
    let Some(fixture) = Fixture::new() else { return };
    let series = ["runc-python:microservice-python", SERIES_DEFAULT];
    let experiment = fixture.experiment(&series, 2);
    // The other tests have Jobs.
    let text = fs::read_to_string(&experiment).unwrap();
    let experiment = fixture.write("d.toml", &format!("controller = \"deployment\"\n{text}"));
    let mut lab = fixture.start(&experiment, &[]);
    lab.wait_for_event("cell-end");
    lab.kill();
    traces::assert_none_within(lab.id(), Duration::from_mins(1));
    let cells = fixture.run_dir().join("cells");
    let first = fs::read_dir(&cells).unwrap().next().unwrap().unwrap().path();
    let kept = digest_file(&first.join("cell.json")).unwrap();
    assert!(!fixture.run_dir().join("manifest.json").exists());

    let mut lab = fixture.resume();
    let finished = lab.wait();
    traces::assert_none(lab.id());
    let run = read_run(&fixture.run_dir()).unwrap_or_else(|error| {
        panic!("{error}: {:?}\n{}", finished.code, finished.text);
    });
    assert_eq!((run.cells.len(), run.manifest.resumed_ns.len()), (2, 1), "{}", finished.text);
    assert_eq!(digest_file(&first.join("cell.json")).unwrap(), kept);
    assert!(run.cells.iter().all(|record| record.pods.len() == 2), "{}", finished.text);
    let again = fixture.resume().wait();
    assert_eq!(again.code, Some(1), "{}", again.text);
    assert!(again.text.contains("nothing to resume"), "{}", again.text);
}
