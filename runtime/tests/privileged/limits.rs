//! `linux.resources` in the files of the control groups.

use super::container::{Container, by_systemd, has_controllers, is_ours, is_v2, skip};
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
    if is_ours() && ran.stderr.contains("SIGKILL") {
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

/// What the container prints after trying to use a device, and what it used.
#[test]
fn forbidden_devices_stay_closed() {
    let script = "echo a > /dev/null && echo null; head -c 1 /dev/other && echo other; echo end";
    let Some(mut container) = Container::shell(script) else { return };
    // A memory device that is not among the default ones.
    let other = json!({"path": "/dev/other", "type": "c", "major": 1, "minor": 6, "fileMode": 438});
    container.set("/linux/devices", json!([other]));
    let rule = json!({"allow": false, "access": "rwm"});
    container.set("/linux/resources", json!({"devices": [rule]}));
    let ran = container.run();
    assert_eq!(ran.stdout, "null\nend\n", "{ran:?}");
    assert!(ran.stderr.contains("not permitted"), "{ran:?}");
}

#[test]
fn who_uses_too_much_memory_is_killed() {
    if !has_controllers(&["memory"]) {
        return;
    }
    let Some(mut container) = Container::shell("exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    else {
        return;
    };
    let limit = json!({"limit": 32 << 20, "swap": 32 << 20});
    container.set("/linux/resources", json!({"memory": limit}));
    assert_eq!(container.run().status, 137);
    container.assert_gone();
}

#[test]
fn every_controller_that_is_there_takes_its_limits() {
    let Some(mut container) = Container::shell("sleep 1000") else { return };
    let offered = |name: &str| {
        let listed = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
        match listed {
            Ok(text) => text.split_whitespace().any(|word| word == name),
            Err(_) => fs::exists(format!("/sys/fs/cgroup/{name}")).unwrap(),
        }
    };
    let mut resources = json!({});
    let mut want = Vec::new();
    if offered("hugetlb") {
        resources["hugepageLimits"] = json!([{"pageSize": "2MB", "limit": 4 << 20}]);
        let (used, reserved) = if is_v2() {
            ("hugetlb.2MB.max", "hugetlb.2MB.rsvd.max")
        } else {
            ("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes")
        };
        want.extend([("hugetlb", used, "4194304"), ("hugetlb", reserved, "4194304")]);
    }
    if offered("cpu") {
        resources["cpu"] = json!({"idle": 1, "shares": 512});
        want.push(("cpu", "cpu.idle", "1"));
    }
    if offered("net_cls") && !is_v2() {
        resources["network"] = json!({"classID": 0x0010_0001});
        want.push(("net_cls", "net_cls.classid", "1048577"));
    }
    if is_v2() {
        resources["unified"] = json!({"memory.high": "33554432", "cgroup.max.descendants": "5"});
        want.extend([("", "memory.high", "33554432"), ("", "cgroup.max.descendants", "5")]);
    }
    container.set("/linux/resources", resources);
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    for (controller, file, value) in want {
        assert_eq!(read(&container, controller, file).trim(), value, "{file}");
    }
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn what_only_version_2_has_is_refused_on_version_1() {
    if !is_ours() {
        return skip("others try");
    }
    if is_v2() {
        return wamr_testing::skip("cgroup-v1");
    }
    let Some(mut container) = Container::shell("true") else { return };
    container.set("/linux/resources", json!({"unified": {"memory.high": "1"}}));
    let failed = container.create(&[]);
    assert!(failed.status != 0 && failed.stderr.contains("needs cgroup v2"), "{failed:?}");
    container.assert_gone();
}

#[test]
fn without_a_manager_of_groups() {
    if !is_ours() {
        return skip("crun passes over limits then");
    }
    if by_systemd() {
        return wamr_testing::skip("no-systemd");
    }
    let Some(mut container) = Container::shell("cat /proc/self/cgroup; exec sleep 1000") else {
        return;
    };
    container.namespace("cgroup", None);
    container.write_config();
    let bundle = container.bundle.path().to_str().unwrap().to_owned();
    let id = container.id.clone();
    let create = ["--cgroup-manager", "disabled", "create", "--bundle", &bundle, &id];
    // Rules for devices are limits, too.
    let refused = container.alone_detached(&create);
    assert!(refused.status == 1 && refused.stderr.contains("linux.resources.devices"));
    container.assert_gone();
    container.set("/linux/resources", json!({"memory": {"limit": 64 << 20}}));
    container.write_config();
    let refused = container.alone_detached(&create);
    assert!(refused.status == 1 && refused.stderr.contains("--cgroup-manager disabled makes none"));
    container.assert_gone();
    container.set("/linux/resources", json!({}));
    container.write_config();
    let made = container.alone_detached(&create);
    assert_eq!(made.status, 0, "{made:?}");
    container.assert_no_groups();
    container.must(&["start"], &[]);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let pid = container.state()["pid"].to_string();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap(), own);
    let update = container.verb(&["update", "--pids-limit", "5"], &[]);
    assert!(update.status == 1 && update.stderr.contains("no control groups"), "{update:?}");
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}
