//! Each kind of namespace joined by its path.

use super::container::{Container, is_ours, skip};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

/// A process of the host that holds namespaces of its own; dropped, it ends.
struct Holder(Child);

impl Holder {
    fn with(flags: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-c", "echo up; exec sleep 1000"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(child)
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/ns/{file}", self.0.id())
    }

    fn link(&self, file: &str) -> String {
        fs::read_link(self.path(file)).unwrap().display().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A container that joins a namespace of the kind, which `unshare` makes for this `flag`.
fn is_joined(kind: &str, file: &str, flag: &str) {
    if !wamr_testing::is_root() {
        return;
    }
    let holder = Holder::with(&[flag]);
    // unshare puts only its children into a time namespace; it execs here, so that the one
    // for children is the one that was made.
    let file_of_holder = if kind == "time" { "time_for_children" } else { file };
    let script = format!("readlink /proc/self/ns/{file}");
    let Some(mut container) = Container::shell(&script) else { return };
    container.namespace(kind, Some(&holder.path(file_of_holder)));
    if kind == "uts" {
        container.config.as_object_mut().unwrap().remove("hostname");
    }
    let ran = container.run();
    let own = fs::read_link(format!("/proc/self/ns/{file}")).unwrap();
    assert_eq!(ran.stdout.trim(), holder.link(file_of_holder), "{kind}: {ran:?}");
    assert_ne!(ran.stdout.trim(), own.to_str().unwrap(), "{kind}");
    container.assert_gone();
}

#[test]
fn each_kind_is_joined_by_its_path() {
    for (kind, file, flag) in [
        ("network", "net", "--net"),
        ("ipc", "ipc", "--ipc"),
        ("uts", "uts", "--uts"),
        ("cgroup", "cgroup", "--cgroup"),
        ("mount", "mnt", "--mount"),
    ] {
        is_joined(kind, file, flag);
    }
}

/// Apart from the others: crun 1.21 answers this one by killing every process that it can see.
#[test]
fn a_time_namespace_is_joined_by_its_path() {
    is_joined("time", "time", "--time");
}

#[test]
fn a_joined_mount_namespace_leaves_the_host_alone() {
    if !wamr_testing::is_root() {
        return;
    }
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let holder = Holder::with(&["--mount"]);
    let Some(mut container) = Container::shell("ls /bin/busybox; ls /home 2>&1") else { return };
    container.namespace("mount", Some(&holder.path("mnt")));
    let ran = container.run();
    assert!(ran.stdout.starts_with("/bin/busybox\n"), "{ran:?}");
    assert!(ran.stdout.contains("/home: No such file"), "{ran:?}");
    let root = container.rootfs();
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(root.to_str().unwrap()));
    assert!(!before.contains(root.to_str().unwrap()));
}

#[test]
fn the_hosts_own_mount_and_user_namespaces_are_refused() {
    if !is_ours() {
        return skip("others join them");
    }
    for (kind, file) in [("mount", "mnt"), ("user", "user")] {
        let Some(mut container) = Container::shell("true") else { return };
        container.namespace(kind, Some(&format!("/proc/self/ns/{file}")));
        let ran = container.run();
        assert_ne!(ran.status, 0, "{ran:?}");
        assert!(ran.stderr.contains(&format!("linux.namespaces ({kind})")), "{ran:?}");
        container.assert_gone();
    }
}

#[test]
fn a_user_namespace_by_path_with_new_ones_inside() {
    let Some(mut container) = Container::shell("id -u; cat /proc/self/uid_map; touch /made") else {
        return;
    };
    let holder = Holder::with(&["--user", "--map-root-user"]);
    container.namespace("user", Some(&holder.path("user")));
    let ran = container.run();
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "0", "1"], "{ran:?}");
    assert!(container.rootfs().join("made").exists());
}

/// A container whose root is the host's user 100,000, as the kubelet wants (`hostUsers: false`).
fn of_other_users(script: &str) -> Option<Container> {
    let mut container = Container::shell(script)?;
    for directory in [container.bundle.path(), &container.rootfs()] {
        chown(directory, Some(100_000), Some(100_000)).unwrap();
    }
    container.push("/linux/namespaces", json!({"type": "user"}));
    for list in ["uidMappings", "gidMappings"] {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        container.set(&format!("/linux/{list}"), map);
    }
    Some(container)
}

#[test]
fn the_oom_score_is_set_in_a_user_namespace() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    for score in [own.trim().parse::<i32>().unwrap(), 1000] {
        let Some(mut container) = of_other_users("id -u; cat /proc/self/oom_score_adj") else {
            return;
        };
        container.set("/process/oomScoreAdj", json!(score));
        let ran = container.run();
        assert_eq!(ran.stdout, format!("0\n{score}\n"), "{ran:?}");
        container.assert_gone();
    }
}

#[test]
fn what_only_the_host_may_read_is_mounted_in_a_user_namespace() {
    let script = "cat /v/f; cat /file; touch /v/x 2>/dev/null || echo closed";
    let Some(mut container) = of_other_users(script) else { return };
    let closed = container.bundle.path().join("closed");
    fs::create_dir_all(closed.join("v")).unwrap();
    fs::write(closed.join("v/f"), "text\n").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    for (destination, source) in [("/v", "v"), ("/file", "v/f")] {
        container.push(
            "/mounts",
            json!({"destination": destination, "type": "bind", "source": closed.join(source),
                "options": ["rbind", "ro"]}),
        );
    }
    let ran = container.run();
    assert_eq!(ran.stdout, "text\ntext\nclosed\n", "{ran:?}");
}

#[test]
fn a_member_of_a_pod_of_other_users() {
    let Some(mut sandbox) = of_other_users("exec sleep 1000") else { return };
    sandbox.set("/process/oomScoreAdj", json!(998));
    sandbox.create(&[]);
    sandbox.must(&["start"], &[]);
    let pid = sandbox.state()["pid"].to_string();
    let Some(mut member) = of_other_users("cat /v/f /proc/self/oom_score_adj; id -u") else {
        return;
    };
    for list in ["uidMappings", "gidMappings"] {
        member.config["linux"].as_object_mut().unwrap().remove(list);
    }
    for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        member.namespace(kind, Some(&format!("/proc/{pid}/ns/{file}")));
    }
    member.config.as_object_mut().unwrap().remove("hostname");
    let closed = member.bundle.path().join("closed");
    fs::create_dir_all(closed.join("v")).unwrap();
    fs::write(closed.join("v/f"), "text\n").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    member.push(
        "/mounts",
        json!({"destination": "/v", "type": "bind", "source": closed.join("v"),
            "options": ["rbind"]}),
    );
    member.set("/process/oomScoreAdj", json!(999));
    let ran = member.run();
    assert_eq!(ran.stdout, "text\n999\n0\n", "{ran:?}");
}

#[test]
fn a_file_that_is_no_namespace_or_of_another_kind() {
    if !is_ours() {
        return skip("others phrase it differently");
    }
    let holder = Holder::with(&["--net", "--ipc"]);
    let wrong = holder.path("ipc");
    for (path, want) in [
        ("/etc/passwd", "join the network namespace"),
        (wrong.as_str(), "join the network namespace"),
        ("/nowhere/ns", "open the namespace /nowhere/ns"),
    ] {
        let Some(mut container) = Container::shell("true") else { return };
        container.namespace("network", Some(path));
        let ran = container.run();
        assert!(ran.status != 0 && ran.stderr.contains(want), "{want}: {ran:?}");
        container.assert_gone();
    }
}

#[test]
fn both_clocks_are_shifted() {
    let script = "cat /proc/self/timens_offsets; cat /proc/uptime";
    let Some(mut container) = Container::shell(script) else { return };
    container.push("/linux/namespaces", json!({"type": "time"}));
    let offsets: Value = json!({"boottime": {"secs": 500, "nanosecs": 7}, "monotonic": {
        "secs": 1000}});
    container.set("/linux/timeOffsets", offsets);
    let ran = container.run();
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    assert_eq!(&words[..6], ["monotonic", "1000", "0", "boottime", "500", "7"], "{ran:?}");
}
