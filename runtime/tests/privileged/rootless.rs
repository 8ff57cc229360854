//! The runtime as an ordinary user: no privilege but what a user namespace gives.

use super::container::{Container, by_systemd, is_ours, skip, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// An id that no user of the host has.
const USER: u32 = 54_321;
/// The first of the ids that the user is granted in some tests.
const GRANTED: u32 = 3_000_000;

/// A container of the user's, whose root is the user.
fn shell(script: &str) -> Option<Container> {
    if by_systemd() {
        // Nobody logs such a user in; one without is told so, which is tested.
        wamr_testing::skip("no-systemd");
        return None;
    }
    shell_of_user(script)
}

fn shell_of_user(script: &str) -> Option<Container> {
    let mut container = Container::shell(script)?;
    if !is_ours() {
        skip("the flags of others differ");
        return None;
    }
    let user = USER.to_string();
    container.wrap(&["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    container.push("/linux/namespaces", json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    container.set("/linux/uidMappings", map.clone());
    container.set("/linux/gidMappings", map);
    // A copy that the user can reach, wherever the build is. By a process of its own: a descriptor
    // open for writing here could leak into another test's child, and the exec fail with ETXTBSY.
    let runtime = container.bundle.path().join("wamr-crun");
    let copied = std::process::Command::new("cp").arg(container.runtime()).arg(&runtime).status();
    assert!(copied.unwrap().success(), "cp to {}", runtime.display());
    container.use_runtime(&runtime);
    give(&container);
    Some(container)
}

fn give(container: &Container) {
    for path in [container.bundle.path().to_owned(), container.rootfs()] {
        chown(&path, Some(USER), Some(USER)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn the_whole_life_of_a_container() {
    let Some(container) = shell("id -u; sleep 1000") else { return };
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    assert_eq!(container.status(), "created");
    let pid = container.state()["pid"].as_i64().unwrap();
    let owner = fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    assert_eq!(owner, USER, "the container runs as its user");
    container.must(&["start"], &[]);
    wait_until("it says who it is", || container.output("stdout") == "0\n");
    assert_eq!(container.status(), "running");
    let ran = container.verb(&["exec"], &["sh", "-c", "id -u; hostname; touch /made; exit 5"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("0\ninside\n", 5), "{ran:?}");
    assert_eq!(fs::metadata(container.rootfs().join("made")).unwrap().uid(), USER);
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    container.must(&["delete"], &[]);
    container.assert_gone();
}

#[test]
fn what_a_user_can_have() {
    let script = "id -u; id -g; hostname; echo x > /dev/null && echo null; touch /made /t/made; \
                  cat /proc/self/setgroups; grep -c . /proc/self/uid_map; ls /sys/fs/cgroup | \
                  head -1 | grep -c .; stat -c %F /dev/pipe; touch /ro/x 2>/dev/null || echo ro; \
                  exit 7";
    let Some(mut container) = shell(script) else { return };
    container.push(
        "/mounts",
        json!({"destination": "/t", "type": "tmpfs", "source": "t",
        "options": ["nosuid", "nodev", "mode=700"]}),
    );
    container.push(
        "/mounts",
        json!({"destination": "/ro", "type": "bind", "source": "/etc",
        "options": ["rbind", "ro"]}),
    );
    container.push(
        "/mounts",
        json!({"destination": "/sys", "type": "bind", "source": "/sys",
        "options": ["rbind", "ro"]}),
    );
    container.push(
        "/mounts",
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup",
        "source": "cgroup", "options": ["ro"]}),
    );
    container.set("/linux/devices", json!([{"path": "/dev/pipe", "type": "p"}]));
    container.set("/linux/maskedPaths", json!(["/proc/keys", "/sys/firmware"]));
    container.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    let ran = container.run();
    let want = "0\n0\ninside\nnull\ndeny\n1\n1\nfifo\nro\n";
    assert_eq!((ran.stdout.as_str(), ran.status), (want, 7), "{ran:?}");
    assert_eq!(fs::metadata(container.rootfs().join("made")).unwrap().uid(), USER);
    container.assert_gone();
}

#[test]
fn what_a_user_cannot_have_is_said() {
    type Change = fn(&mut Container);
    let table: [(Change, &str); 5] = [
        (
            |container| {
                container.namespace("user", None);
                let linux = container.config["linux"].as_object_mut().unwrap();
                linux.remove("uidMappings");
                linux.remove("gidMappings");
            },
            "linux.namespaces: an ordinary user needs one of type user",
        ),
        (
            |container| container.set("/linux/resources", json!({"pids": {"limit": 9}})),
            "for linux.resources",
        ),
        (
            |container| {
                let device = json!([{"path": "/dev/mem0", "type": "c", "major": 1, "minor": 1}]);
                container.set("/linux/devices", device);
            },
            "bind the host's device /dev/mem0",
        ),
        (
            |container| {
                let device = json!([{"path": "/dev/zero", "type": "c", "major": 1, "minor": 1}]);
                container.set("/linux/devices", device);
            },
            "linux.devices (/dev/zero)",
        ),
        (|container| container.set("/process/user", json!({"uid": 5, "gid": 0})), "become user 5"),
    ];
    for (change, want) in table {
        let Some(mut container) = shell("true") else { return };
        change(&mut container);
        let ran = container.run();
        assert_ne!(ran.status, 0, "{want}: {ran:?}");
        assert!(ran.stderr.contains(want), "{want}: {ran:?}");
        container.assert_gone();
    }
}

#[test]
fn a_user_without_a_session_is_told_so() {
    if !by_systemd() {
        return wamr_testing::skip("systemd");
    }
    let Some(container) = shell_of_user("true") else { return };
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("log in with a session"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn the_state_lies_in_the_users_directory() {
    let Some(container) = shell("true") else { return };
    let directory = container.bundle.path().join("run");
    fs::create_dir(&directory).unwrap();
    chown(&directory, Some(USER), Some(USER)).unwrap();
    container.write_config();
    let user = USER.to_string();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .arg(container.runtime())
        .args(["create", "--bundle"])
        .arg(container.bundle.path())
        .arg(&container.id)
        .env("XDG_RUNTIME_DIR", &directory)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(output.success());
    let root = directory.join("wamr-crun");
    assert!(root.join(&container.id).join("state.json").exists());
    let state: Value =
        serde_json::from_slice(&fs::read(root.join(&container.id).join("state.json")).unwrap())
            .unwrap();
    assert_eq!(state["id"], json!(container.id));
    let root = root.to_str().unwrap();
    let runtime = container.runtime();
    let deleted = std::process::Command::new(runtime)
        .args(["--root", root, "delete", "--force", &container.id])
        .status();
    assert!(deleted.unwrap().success());
}

/// The user as the host knows it, in files that only this container's runtime sees.
fn grant_ids(container: &mut Container) -> bool {
    if !["/usr/bin/newuidmap", "/bin/newuidmap"].iter().any(|path| Path::new(path).exists()) {
        skip("newuidmap is not installed (apt-get install uidmap)");
        return false;
    }
    let place = container.bundle.path().to_owned();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = format!("wamrtest:x:{USER}:{USER}::/nonexistent:/bin/false\n");
    fs::write(place.join("passwd"), passwd + &line).unwrap();
    fs::write(place.join("subid"), format!("wamrtest:{GRANTED}:65536\n")).unwrap();
    let place = place.display();
    let script = format!(
        "touch /etc/subuid /etc/subgid && mount --bind {place}/passwd /etc/passwd && \
         mount --bind {place}/subid /etc/subuid && mount --bind {place}/subid /etc/subgid && \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
    );
    container.wrap(&["unshare", "--mount", "sh", "-c", &script, "sh"]);
    true
}

#[test]
fn many_ids_come_from_the_grant() {
    let script = "id -u; touch /d/made; cat /proc/self/uid_map";
    let Some(mut container) = shell(script) else { return };
    if !grant_ids(&mut container) {
        return;
    }
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": GRANTED, "size": 65536}]);
    container.set("/linux/uidMappings", map.clone());
    container.set("/linux/gidMappings", map);
    container.set("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [9]}));
    let directory = container.rootfs().join("d");
    fs::create_dir(&directory).unwrap();
    chown(&directory, Some(GRANTED + 6), Some(GRANTED + 7)).unwrap();
    let ran = container.run();
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    assert_eq!(words, ["7", "0", "54321", "1", "1", "3000000", "65536"], "{ran:?}");
    let made = fs::metadata(directory.join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (GRANTED + 6, GRANTED + 7));
    container.assert_gone();
    // Ids beyond the grant.
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": 0, "size": 1}]);
    container.set("/linux/uidMappings", map);
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("newuidmap refused"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn a_process_joins_one_of_another_id() {
    let Some(mut container) = shell("sleep 1000") else { return };
    if !grant_ids(&mut container) {
        return;
    }
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": GRANTED, "size": 65536}]);
    container.set("/linux/uidMappings", map.clone());
    container.set("/linux/gidMappings", map);
    container.set("/process/user", json!({"uid": 7, "gid": 8}));
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    let ran = container.verb(&["exec", "--user", "9:10"], &["sh", "-c", "id -u; id -g"]);
    assert_eq!(ran.stdout, "9\n10\n", "{ran:?}");
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn a_further_process() {
    let Some(container) = shell("exec sleep 1000") else { return };
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    let script = "id -u; hostname; readlink /proc/self/ns/net; readlink /proc/1/ns/net; exit 5";
    let ran = container.verb(&["exec"], &["sh", "-c", script]);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!((ran.status, &lines[..2]), (5, &["0", "inside"][..]), "{ran:?}");
    assert_eq!(lines[2], lines[3], "{ran:?}");
}
