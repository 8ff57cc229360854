//! A sweep over the cluster's two workers: they are read through the lab's pods, and nothing of the
//! run is left on them.

use std::collections::BTreeSet;
use std::path::Path;

use wamr_record::cell::{Role, Verdict};
use wamr_record::reader::{CellRecord, read_run};
use wamr_record::sample::{Meminfo, Reading};

use super::{Cluster, IMAGE, text};

const EXPERIMENT: &str = "\
title = \"two workers\"\nprovider = \"cluster\"\ncontrol_plane = \"as-is\"\nseed = 1\n\
repetitions = 1\ndensities = [10]\n\
[[series]]\nruntime = \"wamr-crun\"\nworkload = \"microservice-wasm\"\n\
[timing]\nsettle_window_s = 5\nsettle_max_s = 20\nsettle_slope_kib_per_s = 512\n\
plateau_samples = 5\nmetrics_scrapes = 1\nmetrics_resolution_s = 15\npod_deadline_s = 120\n\
warm_up_batches = 0\n";

/// Ten pods on the two workers, one of which lacks the image.
pub fn ten_pods_are_measured_as_one(cluster: &Cluster) {
    let experiment = cluster.dir.path().join("cluster.toml");
    std::fs::write(&experiment, EXPERIMENT).expect("write the experiment");
    let out = cluster.dir.path().join("run");
    let [experiment, out] = [&experiment, &out].map(|path| path.display().to_string());
    let argv = ["run", &experiment, "--out", &out, "--node", &cluster.name];

    let refused = cluster.lab_of_all(&argv);
    let said = text(&refused.stdout) + &text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("nothing was done"), "{said}");
    assert!(!Path::new(&out).exists(), "{said}");

    cluster.kubectl(&["create", "namespace", "density"]);
    let refused = cluster.lab_of_all(&[argv.as_slice(), &["--yes"]].concat());
    let said = text(&refused.stdout) + &text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("did not make"), "{said}");
    cluster.kubectl(&["delete", "namespace", "density"]);
    std::fs::remove_dir_all(&out).expect("a run was begun");

    cluster.ctr("worker2", &["remove", "--sync", IMAGE]);
    let done = cluster.lab_of_all(&[argv.as_slice(), &["--yes"]].concat());
    let said = text(&done.stdout) + &text(&done.stderr);
    // 4: something else on the machine disturbed the cell, which is no defect of the run.
    assert!(matches!(done.status.code(), Some(0 | 4)), "{}\n{said}", done.status);
    assert!(!cluster.ctr("worker2", &["list", "--quiet"]).contains(IMAGE), "what was given goes");
    assert!(!cluster.kubectl(&["get", "namespaces", "-o", "name"]).contains("density"));

    let run = read_run(Path::new(&out)).expect("read the run");
    let machines: BTreeSet<&str> =
        run.environment.nodes.values().map(|node| node.machine.as_str()).collect();
    assert_eq!((run.environment.nodes.len(), machines.len()), (3, 1), "one machine, three nodes");
    let cell = run.cells.first().expect("a cell");
    assert!(!matches!(cell.cell.verdict, Verdict::Failed { .. }), "{:?}", cell.cell.verdict);
    every_node_is_in(cell, &cluster.name);
    the_machine_counts_once(cell);
}

fn every_node_is_in(cell: &CellRecord, name: &str) {
    let workers: BTreeSet<&str> = cell.pods.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let both: Vec<String> = (1..=2).map(|index| format!("{name}-worker{index}")).collect();
    assert_eq!(workers, both.iter().map(String::as_str).collect(), "pods are on both workers");
    assert!(cell.pods.iter().all(|pod| pod.pid.is_some() && pod.first_instruction_ns.is_some()));
    let containers: BTreeSet<_> = cell
        .attribution
        .iter()
        .filter(|line| line.role == Role::Container)
        .map(|line| (line.node.as_deref(), line.pid))
        .collect();
    assert_eq!(containers.len(), 10, "every container is found on its node");
    let control_plane = cell
        .attribution
        .iter()
        .any(|line| line.role == Role::ControlPlane && line.node.as_deref() == Some(name));
    assert!(control_plane, "the control plane shares the machine, so its growth has a name");
}

fn the_machine_counts_once(cell: &CellRecord) {
    let mut last: Option<Meminfo> = None;
    for sample in &cell.samples {
        match &sample.reading {
            Reading::MachineMeminfo { meminfo, .. } => last = Some(*meminfo),
            Reading::Meminfo(sum) => assert_eq!(last.take(), Some(*sum), "the sum of one machine"),
            _ => {}
        }
    }
    let of_nodes = |reading: &Reading| matches!(reading, Reading::MetricsServerNode { .. });
    assert!(cell.samples.iter().any(|sample| of_nodes(&sample.reading)), "metrics-server");
}
