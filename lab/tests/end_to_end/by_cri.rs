//! Pods that no kubelet makes.
//!
//! Tier: full

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use wamr_record::cell::{Fault, Role, Verdict};
use wamr_record::reader::read_run;

use crate::fixture::Fixture;
use crate::releases::{SERIES, measure, release};
use crate::traces;

/// Without Kubernetes, with pods that are sandboxes alone and with pods that do a fixed amount of
/// work.
#[test]
fn pods_through_the_cri_are_measured() {
    let Some(fixture) = Fixture::new() else { return };
    let series = ["pause:pause", "wamr-crun:cpu-wasm", "runc-native:cpu-native"];
    let text = fs::read_to_string(fixture.experiment(&series, 3)).unwrap();
    let text = text.replace("unthrottled", "none").replace("scrapes = 1", "scrapes = 0");
    let experiment = fixture.write("cri.toml", &text);
    let mut lab = fixture.start(&experiment, &[]);
    let finished = lab.wait();
    traces::assert_none(lab.id());
    let run = read_run(&fixture.run_dir()).unwrap_or_else(|error| {
        panic!("{error}: {:?}\n{}", finished.code, finished.text);
    });
    assert_eq!((run.cells.len(), run.environment.control_plane.as_str()), (3, "none"));
    for record in &run.cells {
        let alone = record.cell.runtime == "pause";
        match &record.cell.verdict {
            Verdict::Failed { reasons } => panic!("{reasons:?}"),
            Verdict::Invalid { reasons, fault } => {
                assert_eq!(*fault, Fault::Machine, "{reasons:?}");
            }
            Verdict::Valid { .. } => {}
        }
        assert_eq!(record.pods.len(), 3);
        assert!(record.pods.iter().all(|pod| pod.first_instruction_ns.is_none() == alone));
        assert!(record.pods.iter().all(|pod| pod.duration_ns.is_none() == alone));
        assert!(record.pods.iter().all(|pod| pod.running_ns.is_some() && pod.pid.is_some()));
        let role = |role| record.attribution.iter().filter(|line| line.role == role).count();
        let containers = if alone { 0 } else { 3 };
        assert_eq!((role(Role::Container), role(Role::Pause)), (containers, 3));
        let evidence = record.evidence.as_ref().expect("evidence");
        assert!(evidence.containers.iter().all(|one| one.engine_proven && one.cgroup_in_pod));
    }
}

/// All releases of containerd in one run: each has a node of its own, and each cell says which it
/// was on.
#[test]
fn releases_of_containerd_are_an_axis() {
    let Some(run) = measure(&SERIES, "[\"2.2\", \"2.3\", \"2.4\"]") else { return };
    assert_eq!(run.cells.len(), 9);
    let mut on: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for record in &run.cells {
        let release = release(record);
        assert!(record.cell.id.contains(&format!("-containerd{release}-")), "{}", record.cell.id);
        on.entry(&record.cell.runtime).or_default().insert(release);
    }
    for (runtime, releases) in on {
        assert_eq!(releases, ["2.2", "2.3", "2.4"].map(str::to_owned).into(), "{runtime}");
    }
    let versions = &run.environment.versions["containerd"];
    assert_eq!(versions.split(", ").count(), 3, "{versions}");
    let programs = run.environment.programs.iter();
    let containerds = programs.filter(|program| program.path.ends_with("/containerd"));
    let digests: BTreeSet<&str> = containerds.map(|program| program.sha256.as_str()).collect();
    assert_eq!(digests.len(), 3, "a digest for each");
}
