//! A node of the lab runs a pod with the files that the NixOS modules render.
//!
//! Tier: full

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::rendered;
use crate::test_node::Node;

const POD: &str = include_str!("pod.yaml");

/// Writes the rendered files as `wamr-lab node up --config-from` wants them.
fn write_all(rendered: &Value, dir: &Path) -> PathBuf {
    let text = |value: &Value| value.as_str().expect("a file's text").to_owned();
    let write = |path: PathBuf, content: &Value| {
        std::fs::write(&path, text(content)).expect("write a rendered file");
    };
    for name in ["containerd.toml", "kubelet.json", "runtimeclasses.json"] {
        write(dir.join(name), &rendered[name]);
    }
    std::fs::create_dir(dir.join("cni")).expect("make a directory");
    for (name, content) in rendered["cni"].as_object().expect("networks") {
        write(dir.join("cni").join(name), content);
    }
    dir.to_owned()
}

#[test]
fn a_node_runs_a_pod_with_what_is_rendered() {
    let Some(rendered) = rendered() else { return };
    let dir = tempfile::tempdir().expect("a directory for the files");
    let given = write_all(&rendered, dir.path());
    let given = given.to_str().expect("a path of this test");
    let Some(node) = Node::up("microservice-wasm", &["--config-from", given]) else { return };
    containerd_has_the_handlers(&node);
    the_kubelet_has_the_settings(&node);
    let classes = node.kubectl(&["get", "runtimeclasses", "-o", "name"]);
    assert!(classes.contains("/wamr-crun\n") && classes.contains("/runc\n"), "{classes}");
    assert!(!classes.contains("crun-wasmedge"), "only the rendered ones: {classes}");

    the_api_server_takes_the_addons(&node, &rendered["addons"]);

    node.kubectl_with_input(&["apply", "-f", "-"], POD);
    let ready = ["wait", "--for=condition=Ready", "pod/rendered", "--timeout=100s"];
    node.kubectl(&ready);
    let address = node.kubectl(&["get", "pod", "rendered", "-o", "jsonpath={.status.podIP}"]);
    assert!(address.starts_with("10.88."), "the bridge of the rendered network: {address}");
    let programs = node.process_names();
    assert!(programs.iter().any(|name| name == "microservice.wa"), "{programs:?}");
}

/// Rights and routes of metrics-server, and the classes: what NixOS' addon manager would apply.
fn the_api_server_takes_the_addons(node: &Node, addons: &Value) {
    let count = addons.as_array().map_or(0, Vec::len);
    assert!(count > 7, "{addons}");
    // The lab's own has another way to trust, and the two would be merged.
    node.kubectl(&["delete", "apiservice", "v1beta1.metrics.k8s.io"]);
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": addons });
    let words = ["apply", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"];
    let taken = node.kubectl_with_input(&words, &list.to_string());
    assert_eq!(taken.lines().count(), count, "{taken}");
}

/// containerd itself prints what it has made of the file.
fn containerd_has_the_handlers(node: &Node) {
    let file = "/etc/wamr-lab/containerd.toml";
    let dump = node.shell(&format!("containerd --config {file} config dump"));
    for line in ["runtimes.wamr-crun]", "BinaryName = '/usr/local/bin/wamr-crun'"] {
        assert!(dump.contains(line), "no {line} in what containerd understood:\n{dump}");
    }
    let offered = "jsonpath={.items[0].status.runtimeHandlers[*].name}";
    let offered = node.kubectl(&["get", "nodes", "-o", offered]);
    assert!(offered.split_whitespace().any(|name| name == "wamr-crun"), "{offered}");
}

/// The kubelet itself says what it runs with.
fn the_kubelet_has_the_settings(node: &Node) {
    let names = node.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
    let path = format!("/api/v1/nodes/{names}/proxy/configz");
    let answer = node.kubectl(&["get", "--raw", &path]);
    let config: Value = serde_json::from_str(&answer).expect("JSON of the kubelet");
    let config = &config["kubeletconfig"];
    let table = [
        ("maxPods", Value::from(500)),
        ("cgroupDriver", Value::from("cgroupfs")),
        ("podPidsLimit", Value::from(-1)),
        ("kubeAPIQPS", Value::from(200)),
        ("serializeImagePulls", Value::from(false)),
    ];
    for (name, want) in table {
        assert_eq!(config[name], want, "{name}");
    }
    // A word that only the NixOS module has: the lab's own configuration lacks it.
    assert_eq!(config["hairpinMode"], "hairpin-veth");
}
