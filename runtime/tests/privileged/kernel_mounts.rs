//! /proc, /sys and their like in Wasm containers.

use super::container::{Container, wait_until};
use super::wasm_guest::acting;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const KERNEL_MOUNTS: &str = "org.wamr-crun.wasm.kernel-mounts";
const CONTAINER_TYPE: &str = "io.kubernetes.cri.container-type";

// Numbers of wasi-libc's errno.
const NOENT: i32 = 44;
const NOTCAPABLE: i32 = 76;

/// The errors of a guest that is refused a kernel's file, and of one that finds none.
const HIDDEN: [(&str, i32); 2] = [("all", NOTCAPABLE), ("none", NOENT)];

#[test]
fn a_guest_sees_nothing_of_the_kernel() {
    for (mounts, want) in HIDDEN {
        for path in ["/proc/self/status", "/proc/1/root/own", "/link/status", "/proc/self/mem"] {
            let Some(mut container) = acting(&["show", path]) else { return };
            container.set("/annotations", json!({KERNEL_MOUNTS: mounts}));
            fs::write(container.rootfs().join("own"), "text").unwrap();
            std::os::unix::fs::symlink("proc/self", container.rootfs().join("link")).unwrap();
            let ran = container.run();
            assert_eq!(ran.status, want, "{mounts}: {path}: {ran:?}");
        }
    }
}

/// Types of file systems that process `pid` sees mounted.
fn mounted_types(pid: &Value) -> Vec<String> {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let kind = |line: &str| line.split(" - ").nth(1)?.split(' ').next().map(str::to_owned);
    mounts.lines().filter_map(kind).collect()
}

/// Adds what engines ask for, and starts the guest.
fn guest_with(annotations: &Value, hook: bool) -> Option<Container> {
    let mut container = acting(&["sleep"])?;
    container.add_busybox();
    container.set("/annotations", annotations.clone());
    if hook {
        container.set("/hooks", json!({"createContainer": [{"path": "/bin/true"}]}));
    }
    container.push("/mounts", json!({"destination": "/sys", "type": "sysfs"}));
    container.push("/mounts", json!({"destination": "/dev/mqueue", "type": "mqueue"}));
    container.push("/mounts", json!({"destination": "/sys/fs/cgroup", "type": "cgroup"}));
    container.set("/linux/maskedPaths", json!(["/proc/keys", "/sys/firmware"]));
    container.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    wait_until("the guest runs", || container.output("stdout") == "ready\n");
    Some(container)
}

#[test]
fn what_a_guest_of_a_pod_cannot_see_is_not_mounted() {
    let kernel = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];
    for (annotations, hook, left_out) in [
        (json!({CONTAINER_TYPE: "container"}), false, true),
        (json!({CONTAINER_TYPE: "container"}), true, false),
        (json!({CONTAINER_TYPE: "container", KERNEL_MOUNTS: "all"}), false, false),
        (json!({}), false, false),
        (json!({KERNEL_MOUNTS: "none"}), false, true),
    ] {
        let Some(container) = guest_with(&annotations, hook) else { return };
        let types = mounted_types(&container.state()["pid"]);
        let shown = types.iter().filter(|kind| kernel.contains(&kind.as_str())).count();
        assert_eq!(shown == 0, left_out, "{annotations}, hook {hook}: {types:?}");
        if !left_out {
            let native = container.must(&["exec"], &["cat", "/proc/1/comm"]);
            assert_eq!(native.stdout, "guest.wasm\n");
        }
        let native = container.must(&["exec"], &["echo", "works"]);
        assert_eq!(native.stdout, "works\n");
        container.must(&["delete", "--force"], &[]);
    }
}

#[test]
fn a_volume_may_cover_the_module_by_a_program() {
    let Some(mut container) = acting(&[]) else { return };
    container.add_busybox();
    let volume = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\ncat /proc/1/comm && echo $(wc -c < /proc/keys)\n";
    let program = volume.path().join("guest.wasm");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let source = program.to_str().unwrap();
    let bind = json!({"type": "bind", "source": source, "destination": "/guest.wasm"});
    container.push("/mounts", bind);
    container.set("/annotations", json!({KERNEL_MOUNTS: "none"}));
    container.set("/linux/maskedPaths", json!(["/proc/keys"]));
    container.set("/process/args", json!(["/guest.wasm"]));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "guest.wasm\n0\n"), "{ran:?}");
}
