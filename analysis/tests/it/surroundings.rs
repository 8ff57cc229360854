//! What surrounds the cells of a synthetic run: experiment, environment, the kubelet.

use std::collections::BTreeMap;

use wamr_record::cell::Program;
use wamr_record::environment::Environment;
use wamr_record::sample::{Meminfo, Reading};

use super::synthetic::Recipe;

/// The experiment of a run.
pub fn experiment(recipe: &Recipe) -> String {
    let mut series: Vec<String> = Vec::new();
    for model in &recipe.models {
        let (runtime, workload) = (model.runtime, model.workload);
        let text = format!("[[series]]\nruntime = \"{runtime}\"\nworkload = \"{workload}\"\n");
        if !series.contains(&text) {
            series.push(text);
        }
    }
    let releases = match recipe.releases {
        [] => String::new(),
        compared => format!("containerd = {compared:?}\n"),
    };
    format!(
        "title = \"Synthetic run with known figures\"\nprovider = \"native\"\n\
         control_plane = \"unthrottled\"\nseed = 20260101\n{releases}\
         repetitions = {}\ndensities = {:?}\n\n{}\n[timing]\nplateau_samples = {}\n\
         settle_window_s = 5\nsettle_max_s = 60\nsettle_slope_kib_per_s = 64\n\
         metrics_scrapes = 1\npod_deadline_s = 60\n",
        recipe.repetitions,
        recipe.densities,
        series.join("\n"),
        recipe.samples
    )
}

/// Machine and node of a run.
pub fn environment(recipe: &Recipe) -> Environment {
    let digest = |byte: &str| byte.repeat(32);
    let program = |path: &str, byte| Program { path: path.to_owned(), sha256: digest(byte) };
    let versions = [("containerd", "2.2.1"), ("kubernetes", "v1.34.2"), ("runc", "1.3.5")];
    Environment {
        kernel_release: "6.18.0".to_owned(),
        architecture: "x86_64".to_owned(),
        cpu_model: "Example Processor @ 2.50GHz".to_owned(),
        cpus: 2,
        memory_bytes: 25_000_000_000,
        provider: "native".to_owned(),
        emulated: recipe.emulated,
        cgroup_mode: "v1".to_owned(),
        hypervisor: Some("KVM".to_owned()),
        transparent_hugepages: "madvise".to_owned(),
        control_plane: "unthrottled".to_owned(),
        versions: versions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        programs: vec![
            program("/usr/local/bin/containerd", "c0"),
            program("/usr/local/bin/kubelet", "c1"),
        ],
        images: BTreeMap::from([(
            "localhost/wamr-lab/microservice-wasm:1".to_owned(),
            format!("sha256:{}", digest("d0")),
        )]),
        nodes: BTreeMap::new(),
    }
}

/// The kubelet's and the control groups' figures: 1 kB apart, so that none is taken for another.
pub fn kubelet(
    private_bytes: u64,
    pods: u32,
    timestamp_ns: i64,
    meminfo: &Meminfo,
) -> Vec<Reading> {
    let used = meminfo.total_bytes - meminfo.all_available_bytes();
    let more = |bytes: u64| used + u64::from(pods) * bytes;
    let mut readings = vec![
        Reading::KubeletSummaryNode {
            timestamp_ns,
            usage_bytes: used,
            working_set_bytes: more(1000),
            rss_bytes: used,
        },
        Reading::KubeletResourceNode { timestamp_ns, working_set_bytes: more(2000) },
    ];
    for pod in (0..pods).map(|pod| format!("pod-{pod}")) {
        readings.push(Reading::PodCgroup {
            pod: pod.clone(),
            usage_bytes: private_bytes * 2,
            working_set_bytes: private_bytes + 100_000,
            anon_bytes: private_bytes,
            file_bytes: 0,
            kernel_bytes: 0,
        });
        readings.push(Reading::KubeletSummaryPod {
            timestamp_ns,
            pod: pod.clone(),
            usage_bytes: private_bytes * 2,
            working_set_bytes: private_bytes + 101_000,
            rss_bytes: private_bytes,
        });
        readings.push(Reading::KubeletResourcePod {
            timestamp_ns,
            pod,
            working_set_bytes: private_bytes + 102_000,
            containers_working_set_bytes: private_bytes + 51_000,
        });
    }
    readings
}
