//! containerd by the CRI, as a kubelet uses it: a sandbox, in it a Wasm and a native container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::boxed::{Machine, Said, eventually};
use crate::containerd;
use crate::image::{Kind, PAUSE};

/// The tables that users are told to put into containerd's configuration.
const HANDLER: &str = include_str!("../../../packaging/containerd-1.toml");
/// What a box needs beyond them: containerd's default runtime, which a file with tables of runtimes
/// must name; an image that needs no registry; no lowering of OOM scores.
const OF_THE_BOX: &str = "
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"

[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"localhost/pause:1\"
restrict_oom_score_adj = true
";
const SOCKET: &str = "/run/containerd/containerd.sock";
const LIMIT_BYTES: u64 = 64 << 20;
const CHANGED_BYTES: u64 = 96 << 20;
const TERMINATED: i32 = 128 + 15;

/// Everything that is asked of a handler.
pub fn scenario(machine: &Machine, handler: &str) {
    build(&machine.share().join("cri"));
    let tables = HANDLER.replace("@bindir@", "/opt/wamr") + OF_THE_BOX;
    let write = "cat >/etc/containerd/config.toml; mkdir -p /share/logs; : >>/etc/resolv.conf";
    let said = machine.run_with_input(&["sh", "-c", write], &tables);
    assert_eq!(said.code, 0, "{said:?}");
    containerd::start(machine);
    for archive in [Kind::Native.archive(), Kind::Wasm.archive(), format!("/share/{PAUSE}.tar")] {
        machine.done(&["ctr", "-n", "k8s.io", "images", "import", &archive]);
    }
    let config = sandbox();
    let text = config.to_string();
    // The CRI plugin learns of an import a moment later.
    let sandbox = eventually("a sandbox runs", || {
        let said = call(machine, &["run-sandbox", &text, handler]);
        (said.code == 0 || !said.err.contains("localhost/pause")).then_some(said)
    });
    assert_eq!(sandbox.code, 0, "{sandbox:?}\n{}", machine.logs());
    let sandbox = sandbox.out;
    let running = Kind::ALL.map(|kind| (kind, start(machine, &sandbox, &text, kind)));
    for (kind, container) in &running {
        is_asked_of(machine, *kind, container);
    }
    for (kind, container) in &running {
        must(machine, &["stop", container, "20"]);
        let status = must(machine, &["status", container]);
        let want = format!("CONTAINER_EXITED {TERMINATED}");
        assert!(status.starts_with(&want), "{kind:?}: {status}");
        must(machine, &["remove", container]);
    }
    must(machine, &["stop-sandbox", &sandbox]);
    must(machine, &["remove-sandbox", &sandbox]);
    let left = machine.done(&["ctr", "-n", "k8s.io", "containers", "ls", "-q"]);
    assert_eq!(left.trim(), "", "left behind");
    let places = "/run/containerd/runc/k8s.io /run/wamr-shim/*/k8s.io/containers";
    let left = machine.run(&["sh", "-c", &format!("find {places} -mindepth 1")]);
    assert_eq!(left.out, "", "state of the runtime is left behind");
}

/// A pod in the network of its host: no network plugin is needed.
fn sandbox() -> Value {
    json!({
        "metadata": {"name": "pod", "uid": "1", "namespace": "default"},
        "log_directory": "/share/logs",
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    })
}

fn start(machine: &Machine, sandbox: &str, config: &str, kind: Kind) -> String {
    let name = format!("{kind:?}");
    let container = json!({
        "metadata": {"name": name},
        "image": {"image": kind.reference()},
        "args": ["serve"],
        "envs": [{"key": "SAID", "value": "pod"}],
        "log_path": format!("{name}.log"),
        "linux": {"resources": {"memory_limit_in_bytes": LIMIT_BYTES}},
    });
    let id = must(machine, &["create", sandbox, config, &container.to_string()]);
    must(machine, &["start", &id]);
    id
}

/// Logs, exec, statistics, limits.
fn is_asked_of(machine: &Machine, kind: Kind, container: &str) {
    let log = machine.share().join(format!("logs/{kind:?}.log"));
    eventually("the log has what the program said", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().any(|line| line.contains(" stdout F ") && line.contains("ready")).then_some(())
    });
    assert!(must(machine, &["status", container]).starts_with("CONTAINER_RUNNING"), "{kind:?}");
    assert_eq!(must(machine, &["exec", container, "/bin/echo", "beside"]), "beside\n", "{kind:?}");
    let said = call(machine, &["exec", container, "/guest", "exit", "6"]);
    assert_eq!(said.code, 6, "{kind:?}: {said:?}");
    assert_eq!(machine.memory_limit_bytes(container), LIMIT_BYTES, "{kind:?}");
    must(machine, &["update", container, &CHANGED_BYTES.to_string()]);
    assert_eq!(machine.memory_limit_bytes(container), CHANGED_BYTES, "{kind:?}");
    let used = must(machine, &["stats", container]);
    assert!(used.parse::<u64>().is_ok_and(|bytes| bytes > 0), "{kind:?}: {used:?}");
}

fn call(machine: &Machine, words: &[&str]) -> Said {
    let words: Vec<&str> = ["/share/cri", SOCKET].iter().chain(words).copied().collect();
    machine.run(&words)
}

fn must(machine: &Machine, words: &[&str]) -> String {
    let said = call(machine, words);
    assert_eq!(said.code, 0, "{words:?}: {said:?}\n{}", machine.logs());
    said.out
}

/// Builds the client, static, into `program`.
fn build(program: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/cri");
    let caches: PathBuf = wamr_image::default_cache().join("go");
    let mut command = Command::new("go");
    command.args(["build", "-mod=readonly", "-o"]).arg(program).arg(".").current_dir(source);
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false").env("GOWORK", "off");
    command.env("GOMODCACHE", caches.join("mod")).env("GOCACHE", caches.join("build"));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
