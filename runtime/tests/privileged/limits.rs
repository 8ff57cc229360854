//! `linux.resources` in the files of the control groups.

use super::container::{Container, has_controllers, is_v2};
use serde_json::json;
use std::fs;

fn read(container: &Container, controller: &str, file: &str) -> String {
    let path = container.cgroup(controller).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn limits_are_in_the_files() {
    if !has_controllers(&["memory", "cpu", "pids"]) {
        return;
    }
    let Some(mut container) = Container::shell("sleep 1000") else { return };
    let resources = json!({
        "memory": {"limit": 64 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 20000, "period": 100_000},
        "pids": {"limit": 33},
    });
    container.set("/linux/resources", resources);
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    let v1 = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("pids", "pids.max", "33"),
    ];
    let v2 = [
        ("", "memory.max", "67108864"),
        ("", "memory.low", "33554432"),
        ("", "cpu.weight", "20"),
        ("", "cpu.max", "20000 100000"),
        ("", "pids.max", "33"),
    ];
    for (controller, file, want) in if is_v2() { v2 } else { v1 } {
        assert_eq!(read(&container, controller, file).trim(), want, "{file}");
    }
    let pid = container.state()["pid"].to_string();
    for controller in ["memory", "cpu", "pids"] {
        assert_eq!(read(&container, controller, "cgroup.procs").trim(), pid, "{controller}");
    }
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn a_cpuset_is_complete() {
    if !has_controllers(&["cpuset"]) {
        return;
    }
    let Some(mut container) = Container::shell("grep Cpus_allowed_list /proc/self/status") else {
        return;
    };
    container.set("/linux/resources", json!({"cpu": {"cpus": "0"}}));
    let ran = container.run();
    assert_eq!(ran.stdout, "Cpus_allowed_list:\t0\n", "{ran:?}");
}

#[test]
fn a_tiny_memory_limit_is_named_as_the_cause() {
    if !has_controllers(&["memory"]) {
        return;
    }
    let Some(mut container) = Container::shell("true") else { return };
    container.set("/linux/resources", json!({"memory": {"limit": 1 << 14}}));
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    if super::container::is_ours() && ran.stderr.contains("SIGKILL") {
        assert!(ran.stderr.contains("linux.resources.memory.limit"), "{ran:?}");
    }
    container.assert_gone();
}

#[test]
fn the_program_cannot_exceed_its_pids() {
    if !has_controllers(&["pids"]) {
        return;
    }
    let script = "sleep 9 & sleep 9 & sleep 9 & sleep 9 & echo all";
    let Some(mut container) = Container::shell(script) else { return };
    container.set("/linux/resources", json!({"pids": {"limit": 3}}));
    let ran = container.run();
    assert!(ran.stderr.contains("fork"), "{ran:?}");
}
