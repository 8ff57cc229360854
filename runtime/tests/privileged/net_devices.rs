//! Network devices of the host that move into the container; shares of the CPU's cache.

use super::container::{Container, is_ours, skip};
use serde_json::json;
use std::process::Command;

/// A pair of virtual devices, removed with either end.
struct Pair(String, String);

impl Pair {
    /// `None`, and a line, where the host cannot make one.
    fn new(tag: &str) -> Option<Self> {
        let number = std::process::id() % 100_000;
        let (one, two) = (format!("w{tag}{number}a"), format!("w{tag}{number}b"));
        if ip(&["link", "add", &one, "type", "veth", "peer", "name", &two]) {
            return Some(Self(one, two));
        }
        wamr_testing::skip("veth");
        None
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["link", "del", &self.1]).output());
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_device_moves_with_its_addresses() {
    let script = "busybox ip addr show data; busybox ip link show data";
    let Some(mut container) = Container::shell(script) else { return };
    if !is_ours() {
        return skip("runtime-spec 1.3 is not everywhere yet");
    }
    let Some(pair) = Pair::new("m") else { return };
    assert!(ip(&["addr", "add", "10.211.7.1/24", "broadcast", "+", "dev", &pair.0]));
    assert!(ip(&["-6", "addr", "add", "fd00:7::1/64", "dev", &pair.0, "nodad"]));
    container.set("/linux/netDevices", json!({pair.0.clone(): {"name": "data"}}));
    let ran = container.run();
    for want in ["inet 10.211.7.1/24", "brd 10.211.7.255", "inet6 fd00:7::1/64", ",UP"] {
        assert!(ran.stdout.contains(want), "{want}: {ran:?}");
    }
    assert!(!ip(&["link", "show", &pair.0]), "the device is still on the host");
}

#[test]
fn what_cannot_move_is_said_and_nothing_is_left() {
    let Some(mut container) = Container::shell("true") else { return };
    if !is_ours() {
        return skip("runtime-spec 1.3 is not everywhere yet");
    }
    container.set("/linux/netDevices", json!({"nowhere0": {}}));
    let ran = container.run();
    assert!(ran.stderr.contains("move the network device nowhere0"), "{ran:?}");
    container.assert_gone();
    let Some(pair) = Pair::new("n") else { return };
    container.set("/linux/netDevices", json!({pair.0.clone(): {"name": "lo"}}));
    let ran = container.run();
    assert!(ran.status != 0 && ran.stderr.contains("has a device lo already"), "{ran:?}");
    container.assert_gone();
    assert!(ip(&["link", "show", &pair.0]), "the device stays on the host");
    container.namespace("network", Some("/proc/self/ns/net"));
    container.set("/linux/netDevices", json!({pair.0.clone(): {}}));
    let ran = container.run();
    assert!(ran.stderr.contains("is the host's own"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn a_share_of_the_cache() {
    let Some(mut container) = Container::shell("true") else { return };
    container.set("/linux/intelRdt", json!({"enableMonitoring": true}));
    let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mounted.contains(" - resctrl ") {
        let made = container.create(&[]);
        assert_eq!(made.status, 0, "{made:?}");
        let group = std::path::Path::new("/sys/fs/resctrl").join(&container.id);
        let tasks = std::fs::read_to_string(group.join("tasks")).unwrap();
        assert_eq!(tasks.trim(), container.state()["pid"].to_string());
        container.must(&["delete", "--force"], &[]);
        assert!(!group.exists());
        return;
    }
    if is_ours() {
        let ran = container.run();
        assert!(ran.status != 0 && ran.stderr.contains("resctrl is not mounted"), "{ran:?}");
        container.assert_gone();
    }
    wamr_testing::skip("resctrl");
}
