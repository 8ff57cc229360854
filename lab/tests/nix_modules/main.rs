//! What the NixOS modules render is accepted by the programs that read it: containerd, the kubelet,
//! the network plugins and Kubernetes of the node image, and this lab's own reader.
//!
//! Nix is needed; root and the node image besides for the node. What is lacking is said.

#[path = "../test_node/mod.rs"]
mod test_node;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_node::Node;
use wamr_node::MachineSpec;
use wamr_node::runtimes::{RuntimeKind, RuntimeTable};

const POD: &str = include_str!("pod.yaml");
const RUNTIMES: &str = include_str!("../../runtimes.toml");

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

/// A program of the node image; they are static, so they run here, too.
fn program(test: &str, name: &str) -> Option<PathBuf> {
    let description = wamr_image::description_path(&wamr_image::default_cache());
    let Ok(described) = std::fs::read_to_string(description) else {
        println!("skipped: {test}: the node image is not built: wamr-lab image build");
        return None;
    };
    let image: wamr_image::NodeImage = serde_json::from_str(&described).expect("the node image");
    Some(image.rootfs.join("usr/local/bin").join(name))
}

#[test]
fn containerd_takes_every_runtime() {
    let test = "containerd_takes_every_runtime";
    let Some(rendered) = rendered(test) else { return };
    let Some(containerd) = program(test, "containerd") else { return };
    let dir = tempfile::tempdir().expect("a directory for the file");
    let file = dir.path().join("containerd.toml");
    let config = rendered["every-runtime.toml"].as_str().expect("a text");
    std::fs::write(&file, config).expect("write the file");
    let dump =
        Command::new(containerd).arg("--config").arg(&file).args(["config", "dump"]).output();
    let dump = dump.expect("start containerd");
    assert!(dump.status.success(), "{dump:?}");
    let dump: toml::Table = String::from_utf8_lossy(&dump.stdout).parse().expect("TOML");
    let handlers = &dump["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"];
    let table: RuntimeTable = toml::from_str(RUNTIMES).expect("runtimes.toml");
    for (name, row) in table.iter().filter(|(_, row)| row.absent.is_none()) {
        let handler = &handlers[row.handler.as_str()];
        let kind = handler["runtime_type"].as_str().expect("a type");
        match row.kind {
            RuntimeKind::Oci | RuntimeKind::Sandbox => {
                assert_eq!(kind, "io.containerd.runc.v2", "{name}");
                let options = &handler["options"];
                let binary = options["BinaryName"].as_str().expect("a path");
                assert!(binary.starts_with("/nix/store/"), "{name}: {binary}");
                assert_eq!(options["SystemdCgroup"].as_bool(), Some(true), "{name}");
            }
            RuntimeKind::Shim => {
                let path = handler["runtime_path"].as_str().expect("a path");
                let engine = kind.strip_prefix("io.containerd.").expect("a shim's type");
                let want = format!("/containerd-shim-{}", engine.replace(".v1", "-v1"));
                assert!(path.ends_with(&want), "{name}: {path} is no {kind}");
            }
        }
        let base = handler["base_runtime_spec"].as_str().expect("a path, perhaps none");
        assert_eq!(base.is_empty(), row.container_annotations.is_empty(), "{name}: {base}");
    }
}

#[test]
fn the_programs_know_every_flag() {
    let test = "the_programs_know_every_flag";
    let Some(rendered) = rendered(test) else { return };
    let flags: BTreeMap<String, Vec<String>> =
        serde_json::from_value(rendered["flags"].clone()).expect("flags by program");
    for (name, flags) in flags {
        let Some(path) = program(test, &name) else { return };
        let help = Command::new(path).arg("--help").output().expect("start a program");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(!flags.is_empty(), "{name}");
        for flag in flags {
            let flag = flag.split('=').next().expect("a name");
            assert!(help.contains(&format!("{flag} ")), "{name} has no {flag}");
        }
    }
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
    let given = write_all(&rendered, dir.path());
    let given = given.to_str().expect("a path of this test");
    let node = match Node::up("microservice-wasm", &["--config-from", given]) {
        Ok(node) => node,
        Err(reason) => return println!("skipped: {test}: {reason}"),
    };
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
