//! `events`: what a container uses, and that it ran out of memory.

use super::container::{Container, has_controllers, is_ours, wait_until};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::Child;

fn stats(container: &Container) -> Value {
    let printed = container.must(&["events", "--stats"], &[]).stdout;
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn stats_are_of_this_container() {
    if !has_controllers(&["memory", "cpu", "pids"]) {
        return;
    }
    let script = "sleep 1000 & sleep 1000 & echo ready; wait";
    let Some(mut container) = Container::shell(script) else { return };
    container.set("/linux/resources", json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 9}}));
    container.create(&[]);
    container.must(&["start"], &[]);
    wait_until("it is ready", || container.output("stdout") == "ready\n");
    let event = stats(&container);
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], container.id.as_str());
    let data = &event["data"];
    assert_eq!(data["pids"], json!({"current": 3, "limit": 9}));
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    let used = data["memory"]["usage"]["usage"].as_u64().unwrap();
    assert!((1..64 << 20).contains(&used), "{used}");
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{data}");
    assert!(!data["memory"]["raw"].as_object().unwrap().is_empty());
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    let late = container.verb(&["events", "--stats"], &[]);
    assert_ne!(late.status, 0, "{late:?}");
}

/// `events` in the background, its output in the file `events`.
fn listen(container: &Container) -> Child {
    let output = File::create(container.bundle.path().join("events")).unwrap();
    let interval = ["events", "--interval", "100ms", container.id.as_str()];
    container.command(&interval).stdout(output).spawn().unwrap()
}

#[test]
fn running_out_of_memory_is_told() {
    if !has_controllers(&["memory"]) {
        return;
    }
    // dd's buffer is memory of its own: twice the limit.
    let script = "dd if=/dev/zero of=/dev/null bs=64M count=1; exec sleep 1000";
    let Some(mut container) = Container::shell(script) else { return };
    let limit = json!({"limit": 32 << 20, "swap": 32 << 20});
    container.set("/linux/resources", json!({"memory": limit}));
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    let mut listener = listen(&container);
    // The first reading comes after the registration.
    let events = || fs::read_to_string(container.bundle.path().join("events")).unwrap();
    wait_until("it listens", || events().contains("stats"));
    container.must(&["start"], &[]);
    wait_until("dd is killed", || events().contains(r#""type":"oom""#));
    container.must(&["kill"], &["KILL"]);
    if !is_ours() {
        // runc's listener ends with the control group.
        container.wait_stopped();
        container.must(&["delete"], &[]);
    }
    assert!(listener.wait().unwrap().success(), "events ends with the container");
    for line in events().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["id"], container.id.as_str());
    }
}
