//! The promised number of a node: memory of a small Wasm pod by the shim for many pods.
//!
//! Nothing else should come or go on the machine meanwhile: MemAvailable is all of it.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::test_node::Node;

const PODS: u64 = 20;
/// What a pod may take of MemAvailable: three times what the recorded run has (`data/reference`),
/// for other things move on a machine. containerd's own shim takes more.
const MOST_PER_POD_KB: u64 = 6 * 1024;
/// Of readings; their median counts.
const READINGS: usize = 9;
const PAUSE: Duration = Duration::from_millis(500);
/// What readings may differ by before pods are made: the node's daemons have settled.
const LEVEL_KB: u64 = 4 * 1024;
const PATIENCE: Duration = Duration::from_mins(1);

/// MemAvailable.
fn available_kb() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("procfs");
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).expect("MemAvailable")
}

/// The median of a few readings that differ little, or of the last ones.
fn settled_kb() -> u64 {
    let begun = Instant::now();
    loop {
        let mut readings: Vec<u64> = (0..READINGS)
            .map(|_| {
                sleep(PAUSE);
                available_kb()
            })
            .collect();
        readings.sort_unstable();
        let is_level = readings[READINGS - 1] - readings[0] <= LEVEL_KB;
        if is_level || begun.elapsed() > PATIENCE {
            return readings[READINGS / 2];
        }
    }
}

fn deployment(replicas: u64) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"small"}},"spec":
        {{"replicas":{replicas},"selector":{{"matchLabels":{{"app":"small"}}}},"template":{{
        "metadata":{{"labels":{{"app":"small"}}}},"spec":{{"runtimeClassName":"wamr",
        "terminationGracePeriodSeconds":5,"containers":[{{"name":"guest",
        "args":["serve"],"image":"localhost/guest-wasm:1","imagePullPolicy":"Never"}}]}}}}}}}}"#
    )
}

/// Has so many pods run.
fn scale(node: &Node, replicas: u64) {
    node.kubectl_with_input(&["apply", "-f", "-"], &deployment(replicas));
    node.eventually("the pods are ready", || {
        let path = "jsonpath={.status.readyReplicas}";
        let ready = node.kubectl(&["get", "deployment", "small", "-o", path]);
        (ready == replicas.to_string()).then_some(())
    });
}

/// What [`PODS`] pods take of MemAvailable, each.
fn per_pod_kb(node: &Node) -> u64 {
    // One comes before, so that the image is unpacked and every program has run.
    scale(node, 1);
    let before_kb = settled_kb();
    scale(node, 1 + PODS);
    let after_kb = settled_kb();
    node.kubectl(&["delete", "deployment", "small"]);
    node.eventually("all pods are gone", || {
        node.kubectl(&["get", "pods", "-o", "name"]).trim().is_empty().then_some(())
    });
    before_kb.saturating_sub(after_kb) / PODS
}

/// The promise.
pub fn scenario(node: &Node) {
    let per_pod_kb = per_pod_kb(node);
    println!("{per_pod_kb} kB of MemAvailable for each of {PODS} pods");
    assert!(per_pod_kb > 0, "nothing was taken: was it measured?");
    assert!(per_pod_kb <= MOST_PER_POD_KB, "{per_pod_kb} kB for each pod");
}
