//! `update`, in the files of the groups and in the state.

use super::container::{Container, has_controllers, is_ours, is_v2, skip};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn read(container: &Container, controller: &str, file: &str) -> String {
    let path = container.cgroup(controller).join(file);
    let text = fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

fn assert_files(container: &Container, v1: &[(&str, &str, &str)], v2: &[(&str, &str)]) {
    if is_v2() {
        for (file, want) in v2 {
            assert_eq!(read(container, "", file), *want, "{file}");
        }
    } else {
        for (controller, file, want) in v1 {
            assert_eq!(read(container, controller, file), *want, "{file}");
        }
    }
}

/// A sleeping container with `resources`, started.
fn sleeping(resources: Value) -> Option<Container> {
    let mut container = Container::shell("sleep 1000")?;
    container.set("/linux/resources", resources);
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    Some(container)
}

fn has_limits() -> bool {
    has_controllers(&["memory", "cpu", "pids"])
}

#[test]
fn flags_change_what_they_name() {
    if !has_limits() {
        return;
    }
    let before = json!({"memory": {"limit": 64 << 20}, "cpu": {"quota": 20000, "period": 100_000}});
    let Some(container) = sleeping(before) else { return };
    // crun takes no units, and runc has but one spelling.
    let (memory, shares) =
        if is_ours() { ("48m", "--cpu-shares") } else { ("50331648", "--cpu-share") };
    container.must(&["update", "--memory", memory, "--memory-reservation", "33554432"], &[]);
    container.must(&["update", "--pids-limit", "44", shares, "512"], &[]);
    container.must(&["update", "--cpu-period", "50000"], &[]);
    assert_files(
        &container,
        &[
            ("memory", "memory.limit_in_bytes", "50331648"),
            ("memory", "memory.soft_limit_in_bytes", "33554432"),
            ("pids", "pids.max", "44"),
            ("cpu", "cpu.shares", "512"),
            ("cpu", "cpu.cfs_quota_us", "20000"),
            ("cpu", "cpu.cfs_period_us", "50000"),
        ],
        &[
            ("memory.max", "50331648"),
            ("memory.low", "33554432"),
            ("pids.max", "44"),
            ("cpu.max", "20000 50000"),
        ],
    );
    container.must(&["update", "--cpu-quota", "-1", "--pids-limit", "-1", "--memory", "-1"], &[]);
    assert_files(
        &container,
        &[("cpu", "cpu.cfs_quota_us", "-1"), ("pids", "pids.max", "max")],
        &[("memory.max", "max"), ("cpu.max", "max 50000"), ("pids.max", "max")],
    );
}

#[test]
fn a_file_changes_what_it_names() {
    if !has_limits() {
        return;
    }
    let Some(container) = sleeping(json!({"memory": {"limit": 64 << 20}})) else { return };
    let file = container.bundle.path().join("resources.json");
    let resources = json!({
        "memory": {"limit": 32 << 20, "swap": 32 << 20, "reservation": 0},
        "cpu": {"shares": 0, "quota": 30000, "period": 100_000, "cpus": "", "mems": ""},
        "pids": {"limit": 12},
        "devices": [{"allow": false, "access": "rwm"}],
    });
    fs::write(&file, resources.to_string()).unwrap();
    container.must(&["update", "--resources", file.to_str().unwrap()], &[]);
    assert_files(
        &container,
        &[
            ("memory", "memory.limit_in_bytes", "33554432"),
            ("memory", "memory.memsw.limit_in_bytes", "33554432"),
            ("cpu", "cpu.cfs_quota_us", "30000"),
            ("pids", "pids.max", "12"),
        ],
        &[("memory.max", "33554432"), ("cpu.max", "30000 100000"), ("pids.max", "12")],
    );
}

/// Memory and memory with swap bound each other on v1: both directions must work in one go.
#[test]
fn memory_and_swap_move_together() {
    if !has_limits() {
        return;
    }
    let before = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    let Some(container) = sleeping(before) else { return };
    for bytes in ["134217728", "16777216"] {
        container.must(&["update", "--memory", bytes, "--memory-swap", bytes], &[]);
        assert_files(
            &container,
            &[
                ("memory", "memory.limit_in_bytes", bytes),
                ("memory", "memory.memsw.limit_in_bytes", bytes),
            ],
            &[("memory.max", bytes)],
        );
    }
}

/// A limit in a hierarchy where the container shared a group until then.
#[test]
fn a_new_limit_gets_a_group_of_its_own() {
    if !has_controllers(&["cpuset"]) {
        return;
    }
    let Some(container) = sleeping(json!({})) else { return };
    container.must(&["update", "--cpuset-cpus", "0"], &[]);
    let file = if is_v2() { "cpuset.cpus.effective" } else { "cpuset.cpus" };
    assert_eq!(read(&container, "cpuset", file), "0");
    let pid = container.state()["pid"].to_string();
    assert_eq!(read(&container, "cpuset", "cgroup.procs"), pid);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn a_limit_below_the_use_is_refused_on_request() {
    if !has_limits() {
        return;
    }
    if !is_ours() {
        return skip("runtimes differ in what they check");
    }
    let Some(container) = sleeping(json!({"memory": {"limit": 64 << 20}})) else { return };
    let file = container.bundle.path().join("resources.json");
    let resources = json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}});
    fs::write(&file, resources.to_string()).unwrap();
    let refused = container.verb(&["update", "-r", file.to_str().unwrap()], &[]);
    assert!(refused.status != 0 && refused.stderr.contains("nothing was changed"), "{refused:?}");
    assert_files(
        &container,
        &[("memory", "memory.limit_in_bytes", "67108864")],
        &[("memory.max", "67108864")],
    );
    assert_eq!(container.status(), "running");
}

#[test]
fn what_cannot_be_is_refused() {
    let Some(container) = sleeping(json!({})) else { return };
    for flags in [
        &["update", "--memory", "nonsense"][..],
        &["update", "-r", "/absent/file"],
        &["update", "--cpuset-cpus", "99999"],
    ] {
        assert_ne!(container.verb(flags, &[]).status, 0, "{flags:?}");
    }
    if is_ours() {
        let nothing = container.verb(&["update"], &[]);
        assert!(nothing.stderr.contains("nothing to update"), "{nothing:?}");
    }
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    assert_ne!(container.verb(&["update", "--pids-limit", "5"], &[]).status, 0);
    container.must(&["delete"], &[]);
    container.assert_gone();
    assert!(!Path::new(&container.cgroup("cpuset")).exists());
}
