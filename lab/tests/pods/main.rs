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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::Kind;
use test_node::Node;

/// A node takes longer to come up than a scenario takes, so they share one.
#[test]
fn pods_on_one_node() {
    let Some(node) = up() else { return };
    // Memory first: the node is level then.
    let scenarios = [
        ("memory", memory::scenario as fn(&Node)),
        ("hybrid", hybrid::scenario),
        ("mapped", mapped::scenario),
        ("pauseless", pauseless::scenario),
    ];
    let failed: Vec<&str> = scenarios
        .into_iter()
        .filter(|(name, scenario)| {
            println!("scenario {name}");
            let fine = catch_unwind(AssertUnwindSafe(|| scenario(&node))).is_ok();
            if !fine {
                // What it left would fail the next.
                node.try_kubectl(&["delete", "pod,service", "--all", "--timeout=90s"], "");
            }
            !fine
        })
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// A node with the images of the pods.
fn up() -> Option<Node> {
    let images = tempfile::tempdir().expect("a directory for images");
    image::write_all(images.path());
    let node = Node::up("http-wasm", &[])?;
    for kind in Kind::ALL {
        let archive = kind.archive();
        node.import(&images.path().join(Path::new(&archive).file_name().expect("a name")));
    }
    Some(node)
}
