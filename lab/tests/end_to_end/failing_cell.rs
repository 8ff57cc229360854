//! A cell that fails is explained, and the next is measured.
//!
//! Tier: full

use std::fs;

use wamr_record::cell::Verdict;
use wamr_record::reader::{CellRecord, read_run};

use crate::fixture::Fixture;
use crate::traces;

/// runc cannot execute a Wasm module: the pods are created and never start. A runtime that fails at
/// once makes no sandbox: such pods wait for ever.
#[test]
fn a_cell_that_fails_is_explained_and_the_next_is_measured() {
    let Some(fixture) = Fixture::new() else { return };
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

fn why_failed(record: &CellRecord) -> &[String] {
    let Verdict::Failed { reasons } = &record.cell.verdict else {
        panic!("{:?}", record.cell.verdict)
    };
    reasons
}
