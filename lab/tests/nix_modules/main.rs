//! What the NixOS modules render is accepted by the programs that read it: containerd, the kubelet,
//! the network plugins and Kubernetes of the node image, and this lab's own reader.
//!
//! Nix and the node image are needed.
//!
//! Tier: test

mod on_a_node;
#[path = "../test_node/mod.rs"]
mod test_node;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wamr_node::MachineSpec;
use wamr_node::runtimes::{RuntimeKind, RuntimeTable};

const RUNTIMES: &str = include_str!("../../runtimes.toml");

/// What nix/offline/native-node.nix renders; `None` without Nix.
fn rendered() -> Option<Value> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let expression = repository.join("nix/offline/native-node.nix");
    let mut command = Command::new("nix-instantiate");
    command.args(["--store", "dummy://", "--eval", "--strict", "--json"]).arg(&expression);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            wamr_testing::lacking(format!("nix-instantiate cannot be started: {error}"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", expression.display());
    Some(serde_json::from_slice(&output.stdout).expect("JSON of nix-instantiate"))
}

#[test]
fn the_lab_reads_the_machine() {
    let Some(rendered) = rendered() else { return };
    let spec: MachineSpec = serde_json::from_value(rendered["machine"].clone()).expect("a machine");
    assert_eq!(spec.name, "lab");
    assert!(spec.daemons.is_empty(), "systemd of the machine starts them");
    assert_eq!(spec.runtimes["wamr-crun"].binary, "/usr/local/bin/wamr-crun");
    assert_eq!(spec.runtimes["runc-python"].handler, "runc");
}

/// A program of the node image; they are static, so they run here, too.
fn program(name: &str) -> Option<PathBuf> {
    Some(test_node::image()?.rootfs.join("usr/local/bin").join(name))
}

#[test]
fn containerd_takes_every_runtime() {
    let Some(rendered) = rendered() else { return };
    let Some(containerd) = program("containerd") else { return };
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
    let Some(rendered) = rendered() else { return };
    let flags: BTreeMap<String, Vec<String>> =
        serde_json::from_value(rendered["flags"].clone()).expect("flags by program");
    for (name, flags) in flags {
        let Some(path) = program(&name) else { return };
        let help = Command::new(path).arg("--help").output().expect("start a program");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(!flags.is_empty(), "{name}");
        for flag in flags {
            let flag = flag.split('=').next().expect("a name");
            assert!(help.contains(&format!("{flag} ")), "{name} has no {flag}");
        }
    }
}

/// What NixOS' driver would be told; where it would put the machine's disk is not empty afterwards.
const DRIVER: &str = r#"#!/bin/sh
printf '%s\n' "$XDG_RUNTIME_DIR" "$TMPDIR" "$QEMU_OPTS" >"$2/told"
mkdir "$XDG_RUNTIME_DIR/vm-state-machine"
"#;

/// `nix run .#sweep` makes an experiment of its flags; the programs that it calls only say so here.
#[test]
fn the_lab_reads_the_experiment_of_a_sweep() {
    let dir = tempfile::tempdir().expect("a directory for the sweep");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", dir.path().display());
    std::os::unix::fs::symlink("/bin/true", dir.path().join("wamr-report")).expect("a stand-in");
    let driver = dir.path().join("nixos-test-driver");
    std::fs::write(&driver, DRIVER).expect("write a stand-in");
    std::fs::set_permissions(&driver, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nix/sweep.sh");
    let out = dir.path().join("out");
    let (session, disk) = (dir.path().join("session"), dir.path().join("disk"));
    for place in [&session, &disk] {
        std::fs::create_dir(place).expect("make a directory");
    }
    let sweep = Command::new("bash")
        .args(["-eu", "-o", "pipefail"])
        .arg(script)
        .args(["--pods", "10", "--pods", "400", "--repetitions", "3", "--memory", "9000"])
        .args(["--series", "wamr-crun:cpu-wasm", "--out"])
        .arg(&out)
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", &session)
        .env("WAMR_SWEEP_STATE", &disk)
        .env_remove("QEMU_OPTS")
        .output()
        .expect("start bash");
    assert!(sweep.status.success(), "{sweep:?}");
    let told = std::fs::read_to_string(out.join("told")).expect("what the driver was told");
    let told: Vec<_> = told.lines().collect();
    let [state, temporary, options] = told[..] else { panic!("{told:?}") };
    assert!(Path::new(state).starts_with(&disk), "a session's directory is in memory: {state}");
    assert_eq!(state, temporary);
    assert_eq!(options.trim(), "-m 9000");
    let left: Vec<_> = std::fs::read_dir(&disk).expect("the place of the state").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let lab = Command::new(env!("CARGO_BIN_EXE_wamr-lab"))
        .args(["run", "--dry-run"])
        .arg(out.join("experiment.toml"))
        .output()
        .expect("start wamr-lab");
    let said = String::from_utf8_lossy(&lab.stdout);
    assert!(lab.status.success(), "{lab:?}");
    assert!(said.contains("6 cells") && said.contains("400 pods  wamr-crun cpu-wasm"), "{said}");
}
