//! `spec`: writes a config.json to begin with.
//!
//! The same container as runc's: a shell on a terminal, confined as engines do it by default.

use crate::cli::Spec;
use crate::error::{Act, Error, Result};
use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Writes config.json into the bundle's directory.
///
/// # Errors
/// [`Error::Usage`]: there is one already; [`Error::Os`].
pub fn spec(flags: &Spec) -> Result<()> {
    let path = flags.bundle.join("config.json");
    let value = if flags.rootless {
        for_user(default_spec(), geteuid().as_raw(), getegid().as_raw())
    } else {
        default_spec()
    };
    let text = serde_json::to_string_pretty(&value)
        .map_err(|source| Error::Json { path: path.clone(), source })?;
    // New or not at all, whoever else may be writing.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path);
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Usage(format!(
                "{} exists and is left as it is: remove it first",
                path.display()
            )));
        }
        other => other.act(|| format!("make {}", path.display()))?,
    };
    writeln!(file, "{text}").act(|| format!("write {}", path.display()))
}

/// What a container of root's begins with. Pure.
pub fn default_spec() -> Value {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities,
                "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "wamr-crun",
        "mounts": mounts(),
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"},
                {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                "/proc/sysrq-trigger"],
        },
    })
}

fn mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ])
}

/// Changes `spec` to what an ordinary user can have: a user namespace in which `uid` and `gid` are
/// 0, the host's network, no limits, no group that is not mapped. Pure.
pub fn for_user(mut spec: Value, uid: u32, gid: u32) -> Value {
    let linux = &mut spec["linux"];
    if let Some(list) = linux["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != "network");
        list.push(json!({"type": "user"}));
    }
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    for mount in spec["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            // sysfs shows the network namespace, and whose network it is may mount it.
            *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
        }
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_json;
    use crate::validate;

    #[test]
    fn this_runtime_takes_what_it_writes() {
        for spec in [default_spec(), for_user(default_spec(), 1000, 1001)] {
            let text = serde_json::to_vec(&spec).unwrap();
            let parsed = config_json::parse(&text, "config.json").unwrap();
            assert_eq!(parsed.notes, [""; 0]);
            validate::check(&parsed.value).unwrap();
        }
    }

    #[test]
    fn an_ordinary_user_gets_what_it_can_have() {
        let spec = for_user(default_spec(), 1000, 1001);
        assert_eq!(spec["linux"]["uidMappings"][0]["hostID"], 1000);
        assert_eq!(spec["linux"]["gidMappings"][0]["hostID"], 1001);
        assert!(spec["linux"].get("resources").is_none());
        let text = spec.to_string();
        assert!(
            !text.contains("gid=5")
                && !text.contains("network")
                && !text.contains("/sys/fs/cgroup")
        );
        assert_eq!(text.matches("\"/sys\"").count(), 2, "{text}");
    }
}
