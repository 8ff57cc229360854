//! The lab end to end: real nodes, real pods, and nothing left behind.
//!
//! Root, the node image and `dist/bin` are needed; without them each test says what it lacks and
//! is skipped. `WAMR_LAB_TEST_SERIES=crun-wasmedge:microservice-wasm` measures another series:
//! what is tested here is the lab, not the runtime.

mod fixture;
mod traces;

use std::fs;
use std::path::Path;
use std::time::Duration;

use wamr_record::cell::{Evidence, Role, Verdict};
use wamr_record::manifest::digest_file;
use wamr_record::reader::{CellRecord, Run, read_run};
use wamr_record::sample::Reading;

use fixture::{Fixture, SERIES_DEFAULT};

const PODS: usize = 10;

#[test]
fn a_run_is_measured_and_leaves_nothing() {
    let Some(fixture) = Fixture::new("a_run_is_measured_and_leaves_nothing") else { return };
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

/// runc cannot execute a Wasm module: the pods are created and never start. A runtime that fails at
/// once makes no sandbox: such pods wait for ever.
#[test]
fn a_cell_that_fails_is_explained_and_the_next_is_measured() {
    let Some(fixture) = Fixture::new("a_cell_that_fails_is_explained") else { return };
    let table = fixture.write(
        "runtimes.toml",
        r#"
        [broken]
        title = "runc with Wasm"
        kind = "oci"
        language = "wasm"
        binary = "/usr/local/bin/runc"
        handler = "broken"
        workloads = ["microservice-wasm"]
        evidence = { exe = "none" }

        [useless]
        title = "a runtime that makes nothing"
        kind = "oci"
        language = "python"
        binary = "/usr/bin/false"
        handler = "useless"
        workloads = ["microservice-python"]
        evidence = { exe = "none" }

        [runc-python]
        title = "runC-Python"
        kind = "oci"
        language = "python"
        binary = "/usr/local/bin/runc"
        handler = "runc"
        workloads = ["microservice-python"]
        evidence = { exe = "python3.13" }
        "#,
    );
    let series = [
        "broken:microservice-wasm",
        "useless:microservice-python",
        "runc-python:microservice-python",
    ];
    let text = fs::read_to_string(fixture.experiment(&series, 2)).unwrap();
    let text = text.replace("pod_deadline_s = 120", "pod_deadline_s = 45");
    let experiment = fixture.write("short.toml", &text);
    let mut lab = fixture.start(&experiment, &["--runtimes", table.to_str().unwrap()]);
    let finished = lab.wait();
    traces::assert_none(lab.id());
    assert_eq!(finished.code, Some(3), "{}", finished.text);
    let run = read_run(&fixture.run_dir()).unwrap();
    let by_runtime = |name: &str| {
        run.cells.iter().find(|record| record.cell.runtime == name).expect("a cell per series")
    };
    let broken = by_runtime("broken");
    let reasons = why_failed(broken);
    assert!(reasons.iter().any(|reason| reason.contains("exec format error")), "{reasons:?}");
    let failure = fixture.run_dir().join("cells").join(&broken.cell.id).join("failure");
    let batch = format!("cell-{:04}", broken.cell.order);
    // containerd writes down warnings only, and this failure is none to it: its log may be empty.
    assert!(failure.join("containerd.log").is_file(), "containerd.log is missing");
    for (file, wanted) in
        [("pods.json", "terminated"), ("events.json", &batch), ("kubelet.log", "kubelet")]
    {
        let text = fs::read_to_string(failure.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(text.contains(wanted), "{file} does not mention {wanted}");
    }
    let reasons = why_failed(by_runtime("useless"));
    assert!(reasons.iter().any(|reason| reason.contains("FailedCreatePodSandBox")), "{reasons:?}");
    assert_eq!(by_runtime("runc-python").pods.len(), 2);
    assert!(by_runtime("runc-python").evidence.is_some());
}

/// Without Kubernetes, with pods that are sandboxes alone and with pods that do a fixed amount of
/// work.
#[test]
fn pods_through_the_cri_are_measured() {
    let Some(fixture) = Fixture::new("pods_through_the_cri_are_measured") else { return };
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
            Verdict::Invalid { reasons } => {
                let busy = |reason: &String| reason.contains("is the machine busy?");
                assert!(reasons.iter().all(busy), "{reasons:?}");
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

fn why_failed(record: &CellRecord) -> &[String] {
    let Verdict::Failed { reasons } = &record.cell.verdict else {
        panic!("{:?}", record.cell.verdict)
    };
    reasons
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let Some(fixture) = Fixture::new("an_interrupted_run_leaves_nothing") else { return };
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
    let Some(fixture) = Fixture::new("a_killed_lab_leaves_nothing") else { return };
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

/// A busy machine may move more memory than the pods do; every other gate must have passed.
fn assert_usable(record: &CellRecord, code: Option<i32>) {
    match &record.cell.verdict {
        Verdict::Valid { .. } => assert_eq!(code, Some(0)),
        Verdict::Invalid { reasons } => {
            let busy = |reason: &String| reason.contains("is the machine busy?");
            assert!(reasons.iter().all(busy), "{reasons:?}");
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
