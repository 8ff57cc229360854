//! Hooks that fail, hang or are wrong, at each of the six moments of a container's life.

use super::container::{Container, Ran, is_ours, skip};
use serde_json::{Value, json};
use std::fs;

/// A container with `hooks`, whose poststop hook leaves a mark in its bundle.
fn container(kind: &str, hooks: Value) -> Option<Container> {
    if !is_ours() {
        skip("others run some hooks at other times");
        return None;
    }
    let mut container = Container::shell("echo ran > /ran; exec sleep 1000")?;
    let mark = container.bundle.path().join("poststop");
    let touch = json!([{"path": "/bin/touch", "args": ["touch", mark]}]);
    container.set("/hooks", json!({ "poststop": touch }));
    container.set(&format!("/hooks/{kind}"), hooks);
    Some(container)
}

fn fails() -> Value {
    json!([{"path": "/bin/false"}])
}

fn has_run_poststop(container: &Container) -> bool {
    container.bundle.path().join("poststop").exists()
}

#[test]
fn before_the_start_a_failure_fails_the_create() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let Some(container) = container(kind, fails()) else { return };
        let failed = container.create(&[]);
        assert_ne!(failed.status, 0, "{kind}");
        assert!(failed.stderr.contains(&format!("{kind}[0] (/bin/false)")), "{failed:?}");
        container.assert_gone();
        assert!(has_run_poststop(&container), "{kind}: no poststop hook");
        assert!(!container.rootfs().join("ran").exists(), "{kind}: the program ran");
    }
}

#[test]
fn a_failing_start_hook_fails_the_start_and_stops_the_container() {
    let Some(container) = container("startContainer", fails()) else { return };
    let busybox = container.rootfs().join("bin/false");
    std::os::unix::fs::symlink("busybox", busybox).unwrap();
    assert_eq!(container.create(&[]).status, 0);
    let failed = container.verb(&["start"], &[]);
    assert!(failed.status != 0 && failed.stderr.contains("startContainer[0]"), "{failed:?}");
    container.wait_stopped();
    assert!(!container.rootfs().join("ran").exists(), "the program ran");
    container.must(&["delete"], &[]);
    assert!(has_run_poststop(&container));
    container.assert_gone();
    let ran = container.run();
    assert!(ran.status == 1 && ran.stderr.contains("startContainer[0]"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn after_the_start_a_failure_is_a_warning() {
    for kind in ["poststart", "poststop"] {
        let Some(container) = container(kind, fails()) else { return };
        assert_eq!(container.create(&[]).status, 0);
        let warns = |ran: &Ran| ran.stderr.contains(&format!("{kind}[0] (/bin/false)"));
        let started = container.must(&["start"], &[]);
        assert_eq!(warns(&started), kind == "poststart", "{started:?}");
        assert_eq!(container.status(), "running");
        let deleted = container.must(&["delete", "--force"], &[]);
        assert_eq!(warns(&deleted), kind == "poststop", "{deleted:?}");
        container.assert_gone();
    }
}

#[test]
fn a_hook_that_hangs_is_killed_at_its_timeout() {
    let hang = json!([{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]);
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let Some(container) = container(kind, hang.clone()) else { return };
        let failed = container.create(&[]);
        assert!(failed.stderr.contains("did not end within 1 s"), "{kind}: {failed:?}");
        container.assert_gone();
    }
    let Some(container) = container("startContainer", hang) else { return };
    assert_eq!(container.create(&[]).status, 0);
    let failed = container.verb(&["start"], &[]);
    assert!(failed.stderr.contains("did not end within 1 s"), "{failed:?}");
}

#[test]
fn a_hook_gets_its_environment_and_the_state_of_its_moment() {
    for (kind, status) in [
        ("prestart", "created"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ] {
        let Some(mut container) = container(kind, json!([])) else { return };
        let out = container.bundle.path().join("state-seen");
        let script = format!("cat > {0}; echo >> {0}; env | sort >> {0}", out.display());
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=b"]}]);
        container.set(&format!("/hooks/{kind}"), hook);
        container.set("/annotations", json!({"key": "value"}));
        assert_eq!(container.create(&[]).status, 0);
        let pid = container.state()["pid"].clone();
        container.must(&["start"], &[]);
        container.must(&["delete", "--force"], &[]);
        let text = fs::read_to_string(&out).unwrap();
        let (state, env) = text.split_once('\n').unwrap();
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!(state["status"], status, "{kind}: {text}");
        assert_eq!(state["id"], container.id.as_str());
        assert_eq!(state["annotations"]["key"], "value");
        if status != "stopped" {
            assert_eq!(state["pid"], pid, "{kind}: {text}");
        }
        assert!(env.contains("A=b") && !env.contains("HOME="), "{kind}: {env}");
    }
}

#[test]
fn a_start_hook_without_an_environment_has_that_of_the_process() {
    for (env, want) in [(None, "of the process"), (Some(json!(["A=of the hook"])), "of the hook")] {
        let mut hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo $A > /seen"]});
        if let Some(env) = env {
            hook["env"] = env;
        }
        let Some(mut container) = container("startContainer", json!([hook])) else { return };
        container.push("/process/env", json!("A=of the process"));
        assert_eq!(container.create(&[]).status, 0);
        container.must(&["start"], &[]);
        let seen = fs::read_to_string(container.rootfs().join("seen")).unwrap();
        assert_eq!(seen, format!("{want}\n"));
    }
}
