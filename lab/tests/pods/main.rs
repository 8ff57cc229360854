//! Pods on one node of the lab, by containerd's shim and by ours.
//!
//! Tier: test

#[path = "../clients/image.rs"]
mod image;
#[path = "../test_node/mod.rs"]
mod test_node;

mod hybrid;
mod many;
mod mapped;
mod memory;
mod pauseless;
mod releases;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::Kind;
use test_node::Node;

/// A node takes longer to come up than a scenario takes, so they share one.
#[test]
fn pods_on_one_node() {
    let Some(node) = up(&[]) else { return };
    // Memory first: the node is level then.
    let scenarios: [Scenario; 4] = [
        ("memory", memory::scenario),
        ("hybrid", hybrid::scenario),
        ("mapped", mapped::scenario),
        ("pauseless", pauseless::scenario),
    ];
    run_all(&node, &scenarios);
}

/// A name, and what is asked of the pods that it makes.
type Scenario = (&'static str, fn(&Node));

/// All of them, whichever fails.
fn run_all(node: &Node, scenarios: &[Scenario]) {
    let failed: Vec<&str> = scenarios
        .iter()
        .filter(|(name, scenario)| {
            println!("scenario {name}");
            let fine = catch_unwind(AssertUnwindSafe(|| scenario(node))).is_ok();
            if !fine {
                // What it left would fail the next.
                node.try_kubectl(&["delete", "pod,service", "--all", "--timeout=90s"], "");
            }
            !fine
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// A node with the images of the pods, by `wamr-lab node up` with further arguments.
fn up(arguments: &[&str]) -> Option<Node> {
    let images = tempfile::tempdir().expect("a directory for images");
    image::write_all(images.path());
    let node = Node::up("http-wasm", arguments)?;
    for kind in Kind::ALL {
        let archive = kind.archive();
        node.import(&images.path().join(Path::new(&archive).file_name().expect("a name")));
    }
    Some(node)
}
