//! The lab end to end: real nodes, real pods, and nothing left behind.
//!
//! `WAMR_LAB_TEST_SERIES=crun-wasmedge:microservice-wasm` measures another series: what is tested
//! here is the lab, not the runtime.
//!
//! Tier: test

mod by_cri;
mod churn;
mod ends;
mod failing_cell;
mod fixture;
mod releases;
#[path = "../test_node/mod.rs"]
mod test_node;
mod traces;

use std::fs;
use std::path::Path;

use wamr_record::cell::{Evidence, Fault, Role, Verdict};
use wamr_record::manifest::digest_file;
use wamr_record::reader::{CellRecord, Run, read_run};
use wamr_record::sample::Reading;

use fixture::{Fixture, SERIES_DEFAULT};

const PODS: usize = 10;

#[test]
fn a_run_is_measured_and_leaves_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    let series = std::env::var("WAMR_LAB_TEST_SERIES").unwrap_or_else(|_| SERIES_DEFAULT.into());
    let experiment = fixture.experiment(&[&series], PODS);
    let mut lab = fixture.start(&experiment, &[]);
    let finished = lab.wait();
    traces::assert_none(lab.id());
    let run = read_run(&fixture.run_dir()).unwrap_or_else(|error| {
        panic!("{error}: {:?}\n{}", finished.code, finished.text);
    });
    assert_digests(&run);
    let [record] = run.cells.as_slice() else { panic!("{} cells", run.cells.len()) };
    assert_usable(record, finished.code);
    assert_measured(record);
    assert_evidence(record.evidence.as_ref().expect("evidence"));
    let events = fixture.run_dir().join("cells").join(&record.cell.id).join("events.ndjson");
    let events = fs::read_to_string(events).unwrap();
    for reason in ["Scheduled", "Started"] {
        let found = events.lines().filter(|line| line.contains(reason)).count();
        assert!(found >= PODS, "{found} events {reason}");
    }
    assert!(!run.environment.programs.is_empty() && !run.environment.images.is_empty());
}

/// A busy machine may move more memory than the pods do; every other gate must have passed.
fn assert_usable(record: &CellRecord, code: Option<i32>) {
    match &record.cell.verdict {
        Verdict::Valid { .. } => assert_eq!(code, Some(0)),
        Verdict::Invalid { reasons, fault } => {
            assert_eq!(*fault, Fault::Machine, "{reasons:?}");
            assert_eq!(code, Some(4));
            println!("note: this machine is busy: {reasons:?}");
        }
        Verdict::Failed { reasons } => panic!("{reasons:?}"),
    }
}

fn assert_digests(run: &Run) {
    assert!(run.manifest.files.contains_key("journal.ndjson"));
    for (name, digest) in &run.manifest.files {
        let found = digest_file(&run.dir.join(Path::new(name))).unwrap();
        assert_eq!(&found, digest, "{name}");
    }
}

fn assert_measured(record: &CellRecord) {
    assert_eq!(record.pods.len(), PODS);
    for pod in &record.pods {
        let start_ns = pod.first_instruction_ns.expect("a start stamp");
        assert!(pod.requested_ns < start_ns, "{pod:?}");
        assert!(pod.pid.is_some() && pod.cgroup.is_some() && pod.log_ns.is_some(), "{pod:?}");
    }
    for phase in &record.cell.phases {
        assert!(phase.begin_ns <= phase.end_ns, "{phase:?}");
    }
    for sample in &record.samples {
        let phase = record.cell.phases.iter().find(|phase| phase.name == sample.phase).unwrap();
        let span = phase.begin_ns..=phase.end_ns;
        let memory = matches!(sample.reading, Reading::Meminfo(_) | Reading::NodeCgroup { .. });
        assert!(!memory || span.contains(&sample.taken_ns), "{sample:?} in {phase:?}");
    }
    let of_pods = |of: fn(&Reading) -> bool| {
        record.samples.iter().filter(|sample| of(&sample.reading)).count()
    };
    assert_eq!(of_pods(|reading| matches!(reading, Reading::PodCgroup { .. })), PODS);
    assert_eq!(of_pods(|reading| matches!(reading, Reading::KubeletSummaryPod { .. })), PODS);
    assert_eq!(of_pods(|reading| matches!(reading, Reading::KubeletResourcePod { .. })), PODS);
    assert_eq!(of_pods(|reading| matches!(reading, Reading::MeminfoAtWalk(_))), 2);
    assert!(of_pods(|reading| matches!(reading, Reading::KubeletSummaryNode { .. })) >= 2);
    for role in [Role::Container, Role::Pause, Role::Shim] {
        let of_role = record.attribution.iter().filter(|memory| memory.role == role);
        let with_pod = of_role.filter(|memory| memory.pod.is_some()).count();
        assert_eq!(with_pod, PODS, "{role:?}");
    }
}

fn assert_evidence(evidence: &Evidence) {
    assert_eq!(evidence.containers.len(), PODS);
    for container in &evidence.containers {
        assert!(container.engine_proven && container.cgroup_in_pod, "{container:?}");
    }
}
