//! The promised number of a node: memory of a small Wasm pod by the shim for many pods.
//!
//! What the kernel charges to the pods' control groups, and the shim's own. MemAvailable says
//! more, but is the whole machine's: a daemon that gives back its heap hides twenty pods.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::test_node::Node;

const PODS: u64 = 20;
/// What a pod may take: three times what one took when this was written.
const MOST_PER_POD_KB: u64 = 1200;
/// What two readings may differ by once pods have settled.
const LEVEL_KB: u64 = 64;
const PAUSE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(1);

/// Memory charged to the pods' groups, of both versions of control groups, in bytes.
const CHARGED: &str = "cat /sys/fs/cgroup/memory/kubepods/memory.usage_in_bytes 2>/dev/null \
    || cat /sys/fs/cgroup/kubepods/memory.current";
/// PSS of the shims, one number in kB each.
const SHIMS: &str = "for comm in /proc/[0-9]*/comm; do \
    if grep -qs '^containerd-shim' $comm; then \
    awk '/^Pss:/ { print $2 }' ${comm%comm}smaps_rollup; fi; done";

fn pods_kb(node: &Node) -> u64 {
    let charged = node.shell(CHARGED).trim().parse::<u64>().expect("bytes of the pods' group");
    let shims = node.shell(SHIMS);
    let shims_kb: u64 = shims.lines().map(|kb| kb.parse::<u64>().expect("kB of a shim")).sum();
    assert!(shims_kb > 0, "no shim was found");
    charged / 1024 + shims_kb
}

/// What the pods take when two readings in a row agree.
fn settled_kb(node: &Node) -> u64 {
    let begun = Instant::now();
    let mut before_kb = pods_kb(node);
    loop {
        sleep(PAUSE);
        let now_kb = pods_kb(node);
        if now_kb.abs_diff(before_kb) <= LEVEL_KB {
            return now_kb;
        }
        assert!(begun.elapsed() < PATIENCE, "still {before_kb} kB, then {now_kb}");
        before_kb = now_kb;
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

/// What each of [`PODS`] pods takes.
fn per_pod_kb(node: &Node) -> u64 {
    // One comes before, so that the image is unpacked and every program has run.
    scale(node, 1);
    let before_kb = settled_kb(node);
    scale(node, 1 + PODS);
    let after_kb = settled_kb(node);
    node.kubectl(&["delete", "deployment", "small"]);
    node.eventually("all pods are gone", || {
        node.kubectl(&["get", "pods", "-o", "name"]).trim().is_empty().then_some(())
    });
    after_kb.saturating_sub(before_kb) / PODS
}

/// The promise.
pub fn scenario(node: &Node) {
    let per_pod_kb = per_pod_kb(node);
    println!("{per_pod_kb} kB for each of {PODS} pods");
    assert!(per_pod_kb > 0, "nothing was taken: was it measured?");
    assert!(per_pod_kb <= MOST_PER_POD_KB, "{per_pod_kb} kB for each pod");
}
