//! Namespaces, made and joined.

use super::container::{Container, is_ours, skip};
use serde_json::json;
use std::fs;

const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

fn own(file: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{file}")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn each_namespace_is_new() {
    let Some(container) = Container::shell("for n in /proc/self/ns/*; do readlink $n; done") else {
        return;
    };
    let seen = container.run().stdout;
    for (kind, file) in KINDS {
        assert!(seen.contains(&format!("{file}:")), "{kind}: {seen}");
        assert!(!seen.contains(&own(file)), "{kind} is the host's");
    }
}

#[test]
fn what_is_not_listed_is_the_hosts() {
    let Some(mut container) =
        Container::shell("readlink /proc/self/ns/net; readlink /proc/self/ns/ipc")
    else {
        return;
    };
    container.namespace("network", None);
    container.namespace("ipc", None);
    assert_eq!(container.run().stdout, format!("{}\n{}\n", own("net"), own("ipc")));
}

#[test]
fn a_pod_shares_its_namespaces() {
    let Some(sandbox) = Container::shell("sleep 1000") else { return };
    sandbox.create(&[]);
    sandbox.must(&["start"], &[]);
    let pid = sandbox.state()["pid"].as_i64().unwrap();
    let script = "hostname; ps | grep -c '[s]leep 1000'; readlink /proc/self/ns/net";
    let Some(mut app) = Container::shell(script) else { return };
    for (kind, file) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        app.namespace(kind, Some(&format!("/proc/{pid}/ns/{file}")));
    }
    app.config.as_object_mut().unwrap().remove("hostname");
    let ran = app.run();
    let network = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(ran.stdout, format!("inside\n1\n{}\n", network.display()), "{ran:?}");
}

#[test]
fn processes_in_a_shared_pid_namespace_are_killed_with_all() {
    let Some(mut container) = Container::shell("sleep 1000 & sleep 1000 & exit 0") else { return };
    container.namespace("pid", None);
    container.create(&[]);
    container.must(&["start"], &[]);
    container.wait_stopped();
    let procs = container.cgroup("pids").join("cgroup.procs");
    assert_eq!(fs::read_to_string(&procs).unwrap().lines().count(), 2);
    container.must(&["kill", "--all"], &["KILL"]);
    // systemd removes a group without processes.
    super::container::wait_until("both die", || {
        fs::read_to_string(&procs).map_or(true, |text| text.is_empty())
    });
    container.must(&["delete"], &[]);
    container.assert_gone();
}

#[test]
fn a_user_namespace_maps_root() {
    let script = "id -u; cat /proc/self/uid_map; touch /made; ls /dev/null; hostname";
    let Some(mut container) = Container::shell(script) else { return };
    container.push("/linux/namespaces", json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    container.set("/linux/uidMappings", map.clone());
    container.set("/linux/gidMappings", map);
    give_away(&container, 100_000);
    let ran = container.run();
    assert!(ran.stdout.starts_with("0\n"), "{ran:?}");
    assert!(ran.stdout.contains("100000"), "{ran:?}");
    assert!(ran.stdout.ends_with("/dev/null\ninside\n"), "{ran:?}");
    let made = fs::metadata(container.rootfs().join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 100_000);
}

#[test]
fn a_pod_shares_its_user_namespace() {
    let Some(mut sandbox) = Container::shell("sleep 1000") else { return };
    sandbox.push("/linux/namespaces", json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]);
    sandbox.set("/linux/uidMappings", map.clone());
    sandbox.set("/linux/gidMappings", map.clone());
    give_away(&sandbox, 200_000);
    let made = sandbox.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    let pid = sandbox.state()["pid"].as_i64().unwrap();
    let script = "id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net; touch /made";
    let Some(mut app) = Container::shell(script) else { return };
    for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        app.namespace(kind, Some(&format!("/proc/{pid}/ns/{file}")));
    }
    app.set("/linux/uidMappings", map.clone());
    app.set("/linux/gidMappings", map);
    app.push("/mounts", json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"}));
    give_away(&app, 200_000);
    let ran = app.run();
    let link = |file: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
    let want = format!("0\n{}\n{}\n", link("user").display(), link("net").display());
    assert_eq!(ran.stdout, want, "{ran:?}");
    let made = fs::metadata(app.rootfs().join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 200_000);
}

pub fn give_away(container: &Container, uid: u32) {
    for path in [container.bundle.path().to_owned(), container.rootfs()] {
        std::os::unix::fs::chown(&path, Some(uid), Some(uid)).unwrap();
    }
}

#[test]
fn a_time_namespace_shifts_the_clock() {
    let Some(mut container) = Container::shell("cat /proc/uptime") else { return };
    container.push("/linux/namespaces", json!({"type": "time"}));
    container.set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}));
    let ran = container.run();
    let uptime: f64 = ran.stdout.split('.').next().unwrap().parse().unwrap_or(0.0);
    assert!(uptime > 1_000_000.0, "{ran:?}");
}

#[test]
fn sysctls_reach_the_namespace_alone() {
    let name = "/proc/sys/net/ipv4/ip_forward";
    let host = fs::read_to_string(name).unwrap();
    let Some(mut container) = Container::shell(&format!("cat {name}")) else { return };
    let other = if host.trim() == "1" { "0" } else { "1" };
    container.set("/linux/sysctl", json!({"net.ipv4.ip_forward": other}));
    let ran = container.run();
    assert_eq!(ran.stdout.trim(), other, "{ran:?}");
    assert_eq!(fs::read_to_string(name).unwrap(), host);
}

#[test]
fn the_host_cannot_be_reached_through_the_working_directory() {
    if !is_ours() {
        return skip("other runtimes may allow links that stay inside");
    }
    for number in 3..12 {
        let Some(mut container) = Container::shell("ls") else { return };
        container.set("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        let ran = container.run();
        assert_ne!(ran.status, 0, "{number}: {ran:?}");
        container.assert_gone();
    }
}

#[test]
fn no_descriptor_of_the_host_passes() {
    let Some(container) = Container::shell("ls /proc/self/fd | tr '\\n' ' '") else { return };
    let ran = container.run();
    // 3 is the listing itself.
    assert_eq!(ran.stdout, "0 1 2 3 ", "{ran:?}");
}
