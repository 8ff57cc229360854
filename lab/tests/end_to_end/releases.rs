//! Other releases of containerd than the node image's own, without Kubernetes: containerd, the
//! shims and the runtimes alone.

use std::fs;

use wamr_record::cell::{Fault, Verdict};
use wamr_record::reader::{CellRecord, Run, read_run};
use wamr_record::release::Release;

use crate::fixture::Fixture;
use crate::traces;

const PODS: usize = 3;
/// A pod of our shim, of containerd's with our runtime, and of containerd's with runc.
pub const SERIES: [&str; 3] = [
    "wamr-shim:microservice-wasm",
    "wamr-crun:microservice-wasm",
    "runc-native:microservice-native",
];

#[test]
fn the_newest_release_runs_every_kind_of_pod() {
    let Some(run) = measure(&SERIES, "\"2.4\"") else { return };
    assert_eq!(run.cells.len(), 3);
    for record in &run.cells {
        assert!(!record.cell.id.contains("containerd"), "nothing is compared: {}", record.cell.id);
        assert_eq!(release(record), "2.4", "{}", record.cell.id);
    }
    assert!(!run.environment.versions["containerd"].contains(','), "one node, one release");
}

/// Runs the series for a moment on some releases, as an experiment names them; every pod must run,
/// on the engine that was meant.
pub fn measure(series: &[&str], containerd: &str) -> Option<Run> {
    let fixture = Fixture::new()?;
    let text = fs::read_to_string(fixture.experiment(series, PODS)).unwrap();
    let chosen = format!("\"none\"\ncaches = \"warm\"\ncontainerd = {containerd}\n");
    let text = text
        .replace("\"unthrottled\"\n", &chosen)
        .replace("scrapes = 1", "scrapes = 0")
        .replace("window_s = 5\nsettle_max_s = 20", "window_s = 3\nsettle_max_s = 6")
        .replace("plateau_samples = 5", "plateau_samples = 1\nwarm_up_batches = 0");
    let experiment = fixture.write("releases.toml", &text);
    let mut lab = fixture.start(&experiment, &[]);
    let finished = lab.wait();
    traces::assert_none(lab.id());
    let run = read_run(&fixture.run_dir()).unwrap_or_else(|error| {
        panic!("{error}: {:?}\n{}", finished.code, finished.text);
    });
    for record in &run.cells {
        // Windows as short as these say nothing of memory.
        match &record.cell.verdict {
            Verdict::Failed { reasons } => panic!("{}: {reasons:?}", record.cell.id),
            Verdict::Invalid { reasons, fault } => {
                assert_eq!(*fault, Fault::Machine, "{}: {reasons:?}", record.cell.id);
            }
            Verdict::Valid { .. } => {}
        }
        let evidence = record.evidence.as_ref().expect("evidence");
        assert_eq!(evidence.containers.len(), PODS, "{}", record.cell.id);
        assert!(evidence.containers.iter().all(|one| one.engine_proven && one.cgroup_in_pod));
    }
    Some(run)
}

/// What the cell says of its containerd.
pub fn release(record: &CellRecord) -> String {
    let version = record.cell.containerd.as_deref().expect("a version");
    Release::of_version(version).expect("a release").to_string()
}
