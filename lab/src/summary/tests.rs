//! A run of two cells, one of them failed, as the terminal shows it.

use std::collections::BTreeMap;

use wamr_record::cell::{Cell, Pod};
use wamr_record::environment::Environment;
use wamr_record::manifest::Manifest;
use wamr_record::sample::Sample;

use super::*;

fn cell(order: u32, verdict: Verdict) -> Cell {
    Cell {
        id: format!("{order:04}-x"),
        order,
        runtime: "wamr-crun".into(),
        runtime_title: "wamr-crun (WAMR)".into(),
        runtime_remark: None,
        ours: true,
        language: "wasm".into(),
        workload: "microservice-wasm".into(),
        pods: 2,
        repetition: 1,
        phases: vec![],
        verdict,
    }
}

fn sample(phase: PhaseName, reading: Reading) -> Sample {
    Sample { taken_ns: 0, phase, pods_running: 2, reading }
}

fn meminfo(phase: PhaseName, free_mb: u64) -> Sample {
    let bytes = free_mb * 1_000_000;
    let meminfo =
        Meminfo { free_bytes: bytes, available_bytes: bytes - 500_000, ..Meminfo::default() };
    sample(phase, Reading::Meminfo(meminfo))
}

fn cgroup(phase: PhaseName, anon_bytes: u64) -> Sample {
    let file_bytes = anon_bytes * 3;
    let usage_bytes = anon_bytes + file_bytes;
    sample(
        phase,
        Reading::NodeCgroup {
            usage_bytes,
            anon_bytes,
            file_bytes,
            shmem_bytes: 0,
            kernel_bytes: 0,
        },
    )
}

fn metrics(pod: &str, working_set_bytes: u64) -> Sample {
    let pod = pod.to_owned();
    let reading =
        Reading::MetricsServerPod { timestamp_ns: 1, window_s: 15.0, pod, working_set_bytes };
    sample(PhaseName::Plateau, reading)
}

fn pod(start_ns: i64) -> Pod {
    Pod {
        name: "p".into(),
        uid: "u".into(),
        container_id: None,
        pid: None,
        cgroup: None,
        node: None,
        requested_ns: 1_000_000_000,
        scheduled_ns: None,
        running_ns: None,
        first_instruction_ns: Some(start_ns),
        log_ns: None,
        duration_ns: None,
    }
}

fn container(private_dirty_bytes: u64) -> ProcessMemory {
    ProcessMemory {
        role: Role::Container,
        phase: PhaseName::Plateau,
        pid: 7,
        node: None,
        exe: "wamr-runner".into(),
        pod: None,
        rss_bytes: 0,
        pss_bytes: 0,
        pss_anon_bytes: 0,
        pss_file_bytes: 0,
        private_clean_bytes: 8_000,
        private_dirty_bytes,
        private_by_mapping: BTreeMap::from([
            ("[heap]".to_owned(), 90_000),
            ("/usr/lib/x.so".to_owned(), 100_000),
            ("/".to_owned(), 4_000),
        ]),
    }
}

fn record(cell: Cell, samples: Vec<Sample>) -> CellRecord {
    CellRecord {
        cell,
        samples,
        pods: vec![pod(1_500_000_000), pod(3_250_000_000)],
        attribution: vec![container(200_000), container(210_000)],
        evidence: None,
    }
}

#[test]
fn the_table_of_a_run() {
    let samples = vec![
        meminfo(PhaseName::Before, 1000),
        meminfo(PhaseName::Plateau, 994),
        cgroup(PhaseName::Before, 9_000_000),
        cgroup(PhaseName::Plateau, 14_000_000),
        metrics("a", 1_000_000),
        metrics("b", 2_000_000),
    ];
    let valid = Verdict::Valid { notes: vec!["the baseline drifted".into()] };
    let invalid = Verdict::Invalid { reasons: vec!["1 of 3 start stamps".into()] };
    let failed = Verdict::Failed { reasons: vec!["p: ErrImageNeverPull".into()] };
    let run = Run {
        dir: "/runs/x".into(),
        manifest: Manifest {
            schema_version: 1,
            run: "x".into(),
            title: "t".into(),
            lab_version: "0".into(),
            begin_ns: 0,
            end_ns: 0,
            resumed_ns: Vec::new(),
            only: Vec::new(),
            files: BTreeMap::new(),
        },
        environment: Environment {
            kernel_release: String::new(),
            architecture: String::new(),
            cpu_model: String::new(),
            cpus: 0,
            memory_bytes: 0,
            provider: String::new(),
            emulated: false,
            cgroup_mode: String::new(),
            hypervisor: None,
            transparent_hugepages: String::new(),
            control_plane: String::new(),
            versions: BTreeMap::new(),
            programs: vec![],
            images: BTreeMap::new(),
            nodes: BTreeMap::new(),
        },
        cells: vec![
            record(cell(0, valid), samples),
            record(cell(1, failed), vec![]),
            record(Cell { pods: 3, ..cell(2, invalid) }, vec![]),
        ],
    };
    let plain = anstream::adapter::strip_str(&render(&run)).to_string();
    insta::assert_snapshot!(plain);
}
