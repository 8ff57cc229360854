//! A control plane with two workers.

use std::path::{Path, PathBuf};

use serde_json::json;
use wamr_image::{NodeImage, WorkloadImage};
use wamr_node::runtimes::parse_table;
use wamr_node::{NativeNode, NodeConfig};
use wamr_progress::Progress;

use crate::left::assert_nothing;
use crate::{create, owner, until};

/// Name of the cluster.
pub const NAME: &str = "workers-test";

/// A cluster of two workers with one workload.
pub fn config(image: NodeImage) -> NodeConfig {
    let mut runtimes = parse_table(include_str!("../../../runtimes.toml")).expect("a valid table");
    runtimes.retain(|name, _| name == "runc-python");
    let mut config = NodeConfig::new(NAME, image, runtimes, PathBuf::from("/nonexistent"));
    config.keep_workloads(&|name| name == "http-python");
    config.workers = 2;
    config
}

pub fn reach_each_other(image: NodeImage) {
    NativeNode::clean(NAME).expect("clean what an earlier run left");
    let workload = image.workloads["http-python"].clone();
    let node = NativeNode::up(&config(image), &Progress::new()).expect("node up");
    roles(&node);
    traffic(&node, &workload);
    metrics(&node);
    let again = NativeNode::attach(NAME).expect("attach");
    assert_eq!(again.workers().len(), 2);
    drop(again);
    node.down(&Progress::new()).expect("down");
    nothing_is_left();
}

/// SIGKILL to the process that brought the cluster up: the keepers of all nodes clean up.
pub fn end_with_their_owner(_: NodeImage) {
    NativeNode::clean(NAME).expect("clean what an earlier run left");
    let (mut owner, line) = owner(NAME);
    assert!(line.ends_with(" 2"), "{line}");
    owner.kill().expect("kill the owner");
    owner.wait().expect("wait for the owner");
    let gone = |name: &String| !Path::new("/run/wamr-lab").join(name).exists();
    until("all keepers are done", || names().iter().all(gone));
    nothing_is_left();
}

fn nothing_is_left() {
    assert_nothing(&names().each_ref().map(String::as_str));
}

fn names() -> [String; 3] {
    [NAME.to_owned(), format!("{NAME}-worker1"), format!("{NAME}-worker2")]
}

/// Pods go to workers only, and every node has addresses of its own.
fn roles(node: &NativeNode) {
    let shown = "-o=jsonpath={range .items[*]}{.metadata.name} {.spec.taints[*].effect} \
        {.spec.podCIDR}{\"\\n\"}{end}";
    let nodes = node.output(&["kubectl", "get", "nodes", shown]).expect("get nodes");
    for line in [
        format!("{NAME} NoSchedule "),
        format!("{NAME}-worker1  10.88.8.0/21"),
        format!("{NAME}-worker2  10.88.16.0/21"),
    ] {
        assert!(nodes.lines().any(|have| have == line), "{line:?} in {nodes}");
    }
}

/// A pod of each worker: one asks the other, and the API server reaches both by their kubelets.
fn traffic(node: &NativeNode, workload: &WorkloadImage) {
    for index in [1, 2] {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": format!("p{index}") },
            "spec": {
                "nodeName": format!("{NAME}-worker{index}"),
                "runtimeClassName": "runc",
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "c", "image": workload.reference, "imagePullPolicy": "Never"
                }],
            },
        });
        create(node, &pod.to_string());
    }
    let get = |path: &str| node.output(&["kubectl", "get", "pods", "p1", "p2", "-o", path]);
    let running = "jsonpath={.items[*].status.phase}";
    until("pods run", || get(running).expect("get pods") == "Running Running");
    let address = get("jsonpath={.items[0].status.podIP}").expect("the address of p1");
    assert!(address.starts_with("10.88.8."), "{address}");
    // From the second pod to the first: through both bridges and the wire.
    let python = workload.program.path.as_str();
    let ask = format!("import socket; print(socket.create_connection(('{address}', 8080), 5))");
    let asked = node.output(&["kubectl", "exec", "p2", "--", python, "-c", &ask]);
    let asked = asked.expect("p2 reaches p1");
    assert!(asked.contains("laddr=('10.88.16."), "{asked}");
    // From a pod to the API server.
    let ask = "import socket; print(socket.create_connection(('10.88.0.1', 6443), 5))";
    node.output(&["kubectl", "exec", "p1", "--", python, "-c", ask]).expect("p1 reaches the API");
    let log = node.output(&["kubectl", "logs", "p1"]).expect("logs");
    assert!(log.contains("start_ns="), "{log}");
    let own = node.workers()[0].output(&["kubectl", "get", "pods", "--no-headers"]);
    assert!(own.expect("kubectl inside a worker").contains("p1"));
}

/// metrics-server scrapes every node; the second scrape gives the first figure.
fn metrics(node: &NativeNode) {
    until("metrics-server knows all nodes", || {
        let top = node.output(&["kubectl", "top", "nodes", "--no-headers"]).unwrap_or_default();
        top.lines().filter(|line| line.contains("Mi")).count() == 3
    });
}
