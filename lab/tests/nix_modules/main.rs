//! What the NixOS modules render is accepted by the programs that read it: containerd, the kubelet,
//! the network plugins and Kubernetes of the node image, and this lab's own reader.
//!
//! Nix is needed; root and the node image besides for the node. What is lacking is said.

mod node;

use std::path::{Path, PathBuf};
use std::process::Command;

use node::Node;
use serde_json::Value;
use wamr_node::MachineSpec;

const POD: &str = include_str!("pod.yaml");

/// What nix/offline/native-node.nix renders; `None`, with a line that says why, without Nix.
fn rendered(test: &str) -> Option<Value> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let expression = repository.join("nix/offline/native-node.nix");
    let mut command = Command::new("nix-instantiate");
    command.args(["--store", "dummy://", "--eval", "--strict", "--json"]).arg(&expression);
    let output = match command.output() {
        Err(error) => {
            println!("skipped: {test}: start nix-instantiate: {error}");
            return None;
        }
        Ok(output) => output,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", expression.display());
    Some(serde_json::from_slice(&output.stdout).expect("JSON of nix-instantiate"))
}

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
fn the_lab_reads_the_machine() {
    let Some(rendered) = rendered("the_lab_reads_the_machine") else { return };
    let spec: MachineSpec = serde_json::from_value(rendered["machine"].clone()).expect("a machine");
    assert_eq!(spec.name, "lab");
    assert!(spec.daemons.is_empty(), "systemd of the machine starts them");
    assert_eq!(spec.runtimes["wamr-crun"].binary, "/usr/local/bin/wamr-crun");
    assert_eq!(spec.runtimes["runc-python"].handler, "runc");
}

/// `nix run .#sweep` makes an experiment of its flags; the programs that it calls only say so here.
#[test]
fn the_lab_reads_the_experiment_of_a_sweep() {
    let dir = tempfile::tempdir().expect("a directory for the sweep");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", dir.path().display());
    for program in ["nixos-test-driver", "wamr-report"] {
        std::os::unix::fs::symlink("/bin/true", dir.path().join(program)).expect("a stand-in");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nix/sweep.sh");
    let out = dir.path().join("out");
    let sweep = Command::new("bash")
        .args(["-eu", "-o", "pipefail"])
        .arg(script)
        .args(["--pods", "10", "--pods", "400", "--repetitions", "3", "--memory", "9000"])
        .args(["--series", "wamr-crun:cpu-wasm", "--out"])
        .arg(&out)
        .env("PATH", path)
        .output()
        .expect("start bash");
    assert!(sweep.status.success(), "{sweep:?}");
    let lab = Command::new(env!("CARGO_BIN_EXE_wamr-lab"))
        .args(["run", "--dry-run"])
        .arg(out.join("experiment.toml"))
        .output()
        .expect("start wamr-lab");
    let said = String::from_utf8_lossy(&lab.stdout);
    assert!(lab.status.success(), "{lab:?}");
    assert!(said.contains("6 cells") && said.contains("400 pods  wamr-crun cpu-wasm"), "{said}");
}

#[test]
fn a_node_runs_a_pod_with_what_is_rendered() {
    let test = "a_node_runs_a_pod_with_what_is_rendered";
    let Some(rendered) = rendered(test) else { return };
    let dir = tempfile::tempdir().expect("a directory for the files");
    let Some(node) = Node::up(test, &write_all(&rendered, dir.path())) else { return };
    containerd_has_the_handlers(&node);
    the_kubelet_has_the_settings(&node);
    let classes = node.kubectl(&["get", "runtimeclasses", "-o", "name"]);
    assert!(classes.contains("/wamr-crun\n") && classes.contains("/runc\n"), "{classes}");
    assert!(!classes.contains("crun-wasmedge"), "only the rendered ones: {classes}");

    node.kubectl_with_input(&["apply", "-f", "-"], POD);
    let ready = ["wait", "--for=condition=Ready", "pod/rendered", "--timeout=100s"];
    node.kubectl(&ready);
    let address = node.kubectl(&["get", "pod", "rendered", "-o", "jsonpath={.status.podIP}"]);
    assert!(address.starts_with("10.88."), "the bridge of the rendered network: {address}");
    let programs = node.shell("cat /proc/[0-9]*/comm");
    assert!(programs.lines().any(|name| name == "microservice.wa"), "{programs}");
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
