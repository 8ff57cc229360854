//! Scopes made by systemd, as systemd itself sees them.

use super::container::{Container, by_systemd, is_ours, is_v2, skip, wait_until};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A container whose groups systemd makes; `None` where no systemd runs, or where it is not asked.
fn container(script: &str) -> Option<Container> {
    if !by_systemd() || !Path::new("/run/systemd/system").exists() {
        wamr_testing::skip("systemd");
        return None;
    }
    Container::shell(script)
}

fn unit(container: &Container) -> String {
    format!("t-{}.scope", container.id)
}

/// A property as `systemctl show` prints it.
fn property(unit: &str, name: &str) -> String {
    let output =
        Command::new("systemctl").args(["show", "--value", "-p", name, unit]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_scope_has_the_limits_as_properties() {
    let Some(mut container) = container("sleep 1000") else { return };
    let resources = json!({
        "memory": {"limit": 64 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 20000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 33},
        "devices": [{"allow": false, "access": "rwm"}],
    });
    container.set("/linux/resources", resources);
    let annotations = json!({"org.systemd.property.TimeoutStopUSec": "uint64 90000000",
        "org.systemd.property.CollectMode": "'inactive-or-failed'"});
    container.set("/annotations", annotations);
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    let unit = unit(&container);
    for (name, want, v2_only) in [
        ("ActiveState", "active", false),
        ("Slice", "wamrtest.slice", false),
        ("Delegate", "yes", false),
        ("TasksMax", "33", false),
        ("CPUQuotaPerSecUSec", "200ms", false),
        ("TimeoutStopUSec", "1min 30s", false),
        ("DevicePolicy", "strict", false),
        ("MemoryMax", "67108864", true),
        ("MemoryLow", "33554432", true),
        ("CPUWeight", "20", true),
        ("AllowedCPUs", "0", true),
    ] {
        if is_v2() || !v2_only {
            assert_eq!(property(&unit, name), want, "{name}");
        }
    }
    let pid = container.state()["pid"].to_string();
    let directory = container.cgroup("pids");
    assert_eq!(fs::read_to_string(directory.join("pids.max")).unwrap(), "33\n");
    // The placeholder has left.
    assert_eq!(fs::read_to_string(directory.join("cgroup.procs")).unwrap().trim(), pid);
    // systemd writes its properties again; the container's limits must survive that.
    Command::new("systemctl").arg("daemon-reload").status().unwrap();
    assert_eq!(fs::read_to_string(directory.join("pids.max")).unwrap(), "33\n");
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
    assert_eq!(property(&unit, "LoadState"), "not-found");
}

#[test]
fn updates_reach_systemd() {
    let Some(container) = container("sleep 1000") else { return };
    container.create(&[]);
    container.must(&["start"], &[]);
    container.must(&["update", "--pids-limit", "44", "--cpu-quota", "50000"], &[]);
    assert_eq!(property(&unit(&container), "TasksMax"), "44");
    assert_eq!(property(&unit(&container), "CPUQuotaPerSecUSec"), "500ms");
    let limit = container.cgroup("pids").join("pids.max");
    assert_eq!(fs::read_to_string(limit).unwrap(), "44\n");
}

/// The placeholder must not be counted among the container's processes.
#[test]
fn one_process_may_be_all() {
    let Some(mut container) = container("echo alone") else { return };
    container.set("/linux/resources", json!({"pids": {"limit": 1}}));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "alone\n"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn a_scope_that_ran_out_of_memory_leaves_its_name() {
    let Some(mut container) = container("exec dd if=/dev/zero of=/dev/null bs=64M count=1") else {
        return;
    };
    let limit = json!({"limit": 32 << 20, "swap": 32 << 20});
    container.set("/linux/resources", json!({"memory": limit}));
    for _ in 0..2 {
        let ran = container.run();
        assert_eq!(ran.status, 137, "{ran:?}");
        container.assert_gone();
        wait_until("systemd forgets it", || {
            property(&unit(&container), "LoadState") == "not-found"
        });
    }
}

#[test]
fn what_systemd_cannot_take_is_refused() {
    if !is_ours() {
        return;
    }
    let annotation = "org.systemd.property.TimeoutStopUSec";
    for (at, value, want) in [
        ("/linux/cgroupsPath", json!("/a/b"), "slice:prefix:name"),
        ("/annotations", json!({annotation: "'soon'"}), "TimeoutStopUSec"),
        ("/annotations", json!({annotation: "[["}), "annotations"),
        ("/linux/resources", json!({"cpu": {"cpus": "99999"}}), "cpu"),
    ] {
        let Some(mut container) = container("true") else { return };
        container.set(at, value);
        let failed = container.create(&[]);
        assert!(failed.status != 0 && failed.stderr.contains(want), "{at}: {failed:?}");
        container.assert_gone();
    }
}

#[test]
fn where_there_is_no_systemd_the_error_says_so() {
    if ["/run/systemd/private", "/run/dbus/system_bus_socket"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        return wamr_testing::skip("no-systemd");
    }
    if !is_ours() {
        return skip("others phrase it differently");
    }
    let Some(mut container) = Container::shell("true") else { return };
    let id = container.id.clone();
    container.set("/linux/cgroupsPath", json!(format!("system.slice:t:{id}")));
    container.write_config();
    let bundle = container.bundle.path().to_str().unwrap().to_owned();
    for flags in [&["--systemd-cgroup"][..], &["--cgroup-manager", "systemd"]] {
        let create = [flags, &["create", "--bundle", &bundle, &id]].concat();
        let failed = container.alone_detached(&create);
        assert_eq!(failed.status, 1, "{failed:?}");
        let remedy = "use --cgroup-manager cgroupfs on a host without systemd";
        assert!(failed.stderr.contains(remedy), "{failed:?}");
        container.assert_gone();
    }
}
