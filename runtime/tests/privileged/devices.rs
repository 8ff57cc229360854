//! `linux.devices` of every kind, and what stands in their way.

use super::container::{Container, is_ours, skip};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn each_kind_with_mode_and_owner() {
    let script = "stat -c '%F %t:%T %a %u:%g' /dev/char /dev/raw /dev/block /dev/pipe /deep/er/one";
    let Some(mut container) = Container::shell(script) else { return };
    // crun and runc set no bits beside those of rwx.
    let special = if is_ours() { 0o4000 } else { 0 };
    let devices = json!([
        {"path": "/dev/char", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640,
            "uid": 5, "gid": 6},
        {"path": "/dev/raw", "type": "u", "major": 1, "minor": 5},
        {"path": "/dev/block", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o622, "uid": 7},
        {"path": "/deep/er/one", "type": "c", "major": 1, "minor": 7, "fileMode": 0o666 | special},
    ]);
    container.set("/linux/devices", devices);
    let ran = container.run();
    let mode = 0o666 | special;
    let want = format!(
        "character special file 1:3 640 5:6\ncharacter special file 1:5 666 0:0\n\
         block special file 7:c8 600 0:0\nfifo 0:0 622 7:0\n\
         character special file 1:7 {mode:o} 0:0\n"
    );
    assert_eq!(ran.stdout, want, "{ran:?}");
}

#[test]
fn what_is_there_already_must_be_the_device() {
    if !is_ours() {
        return skip("others keep what is there");
    }
    let device = json!([{"path": "/nodes/zero", "type": "c", "major": 1, "minor": 5}]);
    for (make, fine) in [("mknod {} c 1 5", true), ("mknod {} c 1 3", false), ("touch {}", false)] {
        let Some(mut container) = Container::shell("true") else { return };
        let nodes = container.rootfs().join("nodes");
        fs::create_dir(&nodes).unwrap();
        let line = make.replace("{}", nodes.join("zero").to_str().unwrap());
        let made = std::process::Command::new("sh").args(["-c", &line]).status().unwrap();
        assert!(made.success(), "{line}");
        container.set("/linux/devices", device.clone());
        let ran = container.run();
        assert_eq!(ran.status == 0, fine, "{make}: {ran:?}");
        assert!(fine || ran.stderr.contains("linux.devices (/nodes/zero)"), "{make}: {ran:?}");
        container.assert_gone();
    }
}

#[test]
fn a_link_does_not_lead_a_device_to_the_host() {
    let Some(mut container) = Container::shell("ls /link/") else { return };
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), container.rootfs().join("link")).unwrap();
    let device = json!([{"path": "/link/zero", "type": "c", "major": 1, "minor": 5}]);
    container.set("/linux/devices", device);
    let ran = container.run();
    assert_eq!(ran.stdout, "zero\n", "{ran:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "made on the host");
}

#[test]
fn names_of_the_host_and_of_the_domain() {
    let script = "hostname; cat /proc/sys/kernel/domainname";
    let Some(mut container) = Container::shell(script) else { return };
    container.set("/domainname", json!("example.org"));
    let ran = container.run();
    assert_eq!(ran.stdout, "inside\nexample.org\n", "{ran:?}");
    assert_ne!(fs::read_to_string("/proc/sys/kernel/domainname").unwrap().trim(), "example.org");
    container.namespace("uts", None);
    container.config.as_object_mut().unwrap().remove("hostname");
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    if is_ours() {
        assert!(ran.stderr.contains("domainname: needs a uts namespace"), "{ran:?}");
    }
}
