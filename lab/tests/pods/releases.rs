//! Pods on nodes with other releases of containerd than the node image's own.
//!
//! Tier: full

use crate::{Scenario, hybrid, mapped, pauseless, run_all, up};

const SCENARIOS: [Scenario; 3] = [
    ("hybrid", hybrid::scenario),
    ("mapped", mapped::scenario),
    ("pauseless", pauseless::scenario),
];

fn pods_on(release: &str) {
    let Some(node) = up(&["--containerd", release]) else { return };
    let version = node.shell("containerd --version");
    assert!(version.contains(&format!(" v{release}.")), "{version}");
    run_all(&node, &SCENARIOS);
}

#[test]
fn the_release_before_the_own_one() {
    pods_on("2.2");
}

#[test]
fn the_newest_release() {
    pods_on("2.4");
}
