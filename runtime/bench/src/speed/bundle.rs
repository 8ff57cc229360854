//! The bundles that are timed: what containerd's CRI plugin gives a container by default, the same
//! for every runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use miette::{IntoDiagnostic, Result};
use serde_json::{Value, json};

use super::Kind;

/// Waits for a byte on stdin, which never comes.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read"
        (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 1))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Calls that are permitted, as in containerd's default profile for these capabilities.
const SECCOMP: &str = include_str!("seccomp.json");

/// What containerd grants by default.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What the page says of the bundle.
pub const DESCRIPTION: &str = "Every runtime gets the same bundle, with what containerd's CRI \
    plugin requests by default: new PID,\nnetwork, IPC, UTS and mount namespaces; proc, sysfs, \
    devpts, mqueue, tmpfs and cgroup mounts, and five\nbind mounts of a pod's files; limits on \
    memory, processor and processes, device rules; masked and\nread-only paths; the default \
    capabilities, an OOM score, no new privileges, and a seccomp profile of\n362 calls. Each \
    runtime creates the control groups itself (`cgroupfs`).";

/// What runs a Wasm container, by the annotation that wamr-crun reads and others pass over.
const ENGINE: &str = "org.wamr-crun.wasm.engine";

/// Writes the bundle of `kind` into `directory`; `busybox` is a static one's content. A Wasm one is
/// to run by the `engine` of this name where the runtime has several.
///
/// # Errors
/// Those of the system.
pub fn write(
    directory: &Path,
    kind: Kind,
    annotation: Option<(&str, &str)>,
    engine: &str,
    busybox: &[u8],
) -> Result<()> {
    let root = directory.join("rootfs");
    for below in ["bin", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(below)).into_diagnostic()?;
    }
    fs::create_dir_all(directory.join("serviceaccount")).into_diagnostic()?;
    for name in ["hostname", "hosts", "resolv.conf", "termination-log"] {
        fs::write(directory.join(name), "").into_diagnostic()?;
    }
    let (name, content) = match kind {
        Kind::Native => ("bin/sleep", busybox.to_vec()),
        Kind::Wasm => ("wait.wasm", wat::parse_str(MODULE).into_diagnostic()?),
    };
    fs::write(root.join(name), content).into_diagnostic()?;
    fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).into_diagnostic()?;
    let mut config = config(directory, kind)?;
    if let (Kind::Wasm, Some((key, value))) = (kind, annotation) {
        config["annotations"][key] = json!(value);
        config["annotations"][ENGINE] = json!(engine);
    }
    fs::write(directory.join("config.json"), config.to_string()).into_diagnostic()
}

fn config(directory: &Path, kind: Kind) -> Result<Value> {
    let args = match kind {
        Kind::Native => json!(["sleep", "1000"]),
        Kind::Wasm => json!(["/wait.wasm"]),
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "hostname": "bench",
        "process": {
            "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
            "args": args, "env": [path, "HOSTNAME=bench", "KUBERNETES_PORT=tcp://10.96.0.1:443"],
            "cwd": "/", "noNewPrivileges": true, "oomScoreAdj": 1000,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES,
                "permitted": CAPABILITIES},
        },
        "mounts": mounts(directory),
        "annotations": {
            "io.kubernetes.cri.container-name": "bench",
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "localhost/bench:1",
            "io.kubernetes.cri.sandbox-id": "0123456789abcdef",
            "io.kubernetes.cri.sandbox-name": "bench",
            "io.kubernetes.cri.sandbox-namespace": "default",
            "io.kubernetes.cri.sandbox-uid": "00000000-0000-0000-0000-000000000000",
        },
        "linux": {
            "cgroupsPath": "/bench/container",
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}],
            "resources": resources(),
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                "/sys/devices/virtual/powercap"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                "/proc/sysrq-trigger"],
            "seccomp": serde_json::from_str::<Value>(SECCOMP).into_diagnostic()?,
        },
    }))
}

fn new(destination: &str, fs_type: &str, source: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": fs_type, "source": source, "options": options})
}

fn mounts(directory: &Path) -> Vec<Value> {
    let inert = ["nosuid", "noexec", "nodev"];
    let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    let shm = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let groups = ["nosuid", "noexec", "nodev", "relatime", "ro"];
    let mut all = vec![
        new("/proc", "proc", "proc", &inert),
        new("/dev", "tmpfs", "tmpfs", &dev),
        new("/dev/pts", "devpts", "devpts", &pts),
        new("/dev/shm", "tmpfs", "shm", &shm),
        new("/dev/mqueue", "mqueue", "mqueue", &inert),
        new("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        new("/sys/fs/cgroup", "cgroup", "cgroup", &groups),
    ];
    for (name, inside, access) in [
        ("hosts", "/etc/hosts", "rw"),
        ("hostname", "/etc/hostname", "rw"),
        ("resolv.conf", "/etc/resolv.conf", "rw"),
        ("termination-log", "/dev/termination-log", "rw"),
        ("serviceaccount", "/var/run/secrets/kubernetes.io/serviceaccount", "ro"),
    ] {
        let source = directory.join(name);
        all.push(new(inside, "bind", &source.to_string_lossy(), &["rbind", "rprivate", access]));
    }
    all
}

fn resources() -> Value {
    let device = |kind: &str, major: i64, minor: Option<i64>| {
        let mut rule = json!({"allow": true, "type": kind, "major": major, "access": "rwm"});
        if let Some(minor) = minor {
            rule["minor"] = json!(minor);
        }
        rule
    };
    let single = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(single.map(|(major, minor)| device("c", major, Some(minor))));
    rules.push(device("c", 136, None));
    json!({
        "devices": rules,
        "memory": {"limit": 134_217_728},
        "cpu": {"shares": 1024, "quota": 100_000, "period": 100_000},
        "pids": {"limit": 1000},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_as_many_calls_as_the_page_says() {
        let profile: Value = serde_json::from_str(SECCOMP).unwrap();
        let names = profile["syscalls"].as_array().unwrap().iter();
        let count: std::collections::BTreeSet<_> =
            names.flat_map(|rule| rule["names"].as_array().unwrap()).map(Value::as_str).collect();
        assert!(DESCRIPTION.contains(&format!("{} calls", count.len())), "{}", count.len());
    }
}
