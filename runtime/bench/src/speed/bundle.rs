//! The bundles that are timed: as small as an engine's, the same for every runtime.

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

/// Writes the bundle of `kind` into `directory`; `busybox` is a static one's content.
///
/// # Errors
/// Those of the system.
pub fn write(
    directory: &Path,
    kind: Kind,
    annotation: Option<(&str, &str)>,
    busybox: &[u8],
) -> Result<()> {
    let root = directory.join("rootfs");
    for below in ["bin", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(below)).into_diagnostic()?;
    }
    let (name, content) = match kind {
        Kind::Native => ("bin/sleep", busybox.to_vec()),
        Kind::Wasm => ("wait.wasm", wat::parse_str(MODULE).into_diagnostic()?),
    };
    fs::write(root.join(name), content).into_diagnostic()?;
    fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).into_diagnostic()?;
    let mut config = config(kind);
    if let (Kind::Wasm, Some((key, value))) = (kind, annotation) {
        config["annotations"] = json!({ key: value });
    }
    fs::write(directory.join("config.json"), config.to_string()).into_diagnostic()
}

fn config(kind: Kind) -> Value {
    let args = match kind {
        Kind::Native => json!(["sleep", "1000"]),
        Kind::Wasm => json!(["/wait.wasm"]),
    };
    let capabilities = json!(["CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "hostname": "bench",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {"bounding": capabilities, "effective": capabilities,
                "permitted": capabilities},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}],
            "resources": {"devices": [{"allow": false, "access": "rwm"}],
                "memory": {"limit": 134_217_728}},
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
                "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                "/proc/sysrq-trigger"],
        },
    })
}
