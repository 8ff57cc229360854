//! More pods than one process of the shim serves.
//!
//! Tier: full

use crate::pauseless::{nothing_is_left, shims};
use crate::test_node::Node;

/// More than one process serves.
const MANY: u32 = 136;

#[test]
fn many_pods_have_few_processes() {
    let Some(node) = crate::up(&[]) else { return };
    scale(&node);
    nothing_is_left(&node);
}

fn scale(node: &Node) {
    let deployment = format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"many"}},"spec":
        {{"replicas":{MANY},"selector":{{"matchLabels":{{"app":"many"}}}},"template":{{
        "metadata":{{"labels":{{"app":"many"}}}},"spec":{{"runtimeClassName":"wamr",
        "terminationGracePeriodSeconds":5,"containers":[{{"name":"guest","args":["serve"],
        "image":"localhost/guest-wasm:1","imagePullPolicy":"Never"}}]}}}}}}}}"#
    );
    node.kubectl_with_input(&["apply", "-f", "-"], &deployment);
    let path = "jsonpath={.status.readyReplicas}";
    node.eventually("all pods are ready", || {
        let ready = node.kubectl(&["get", "deployment", "many", "-o", path]);
        (ready == MANY.to_string()).then_some(())
    });
    assert_eq!(shims(node).len(), 2, "128 pods each");
    node.kubectl(&["delete", "deployment", "many"]);
    node.eventually("all pods are gone", || {
        node.kubectl(&["get", "pods", "-o", "name"]).trim().is_empty().then_some(())
    });
}
