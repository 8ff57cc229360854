//! Pause and resume, and how a paused container ends.

use super::container::{Container, is_ours, wait_until};
use std::fs;

/// A container that counts in its output, started.
fn counting() -> Option<Container> {
    let script = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done";
    let container = Container::shell(script)?;
    container.create(&[]);
    container.must(&["start"], &[]);
    wait_until("it counts", || container.output("stdout").contains('\n'));
    Some(container)
}

#[test]
fn a_paused_container_rests_until_it_is_resumed() {
    let Some(container) = counting() else { return };
    container.must(&["pause"], &[]);
    assert_eq!(container.status(), "paused");
    let before = container.output("stdout");
    // Long enough for a few lines, if it ran.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(container.output("stdout"), before);
    assert_ne!(container.verb(&["pause"], &[]).status, 0, "a second pause");
    assert_ne!(container.verb(&["delete"], &[]).status, 0, "delete while paused");
    container.must(&["resume"], &[]);
    assert_eq!(container.status(), "running");
    wait_until("it goes on", || container.output("stdout").len() > before.len());
    assert_ne!(container.verb(&["resume"], &[]).status, 0, "a second resume");
}

#[test]
fn a_created_container_can_be_paused() {
    let Some(container) = Container::shell("true") else { return };
    container.create(&[]);
    container.must(&["pause"], &[]);
    assert_eq!(container.status(), "paused");
    assert_ne!(container.verb(&["start"], &[]).status, 0, "start while paused");
    container.must(&["resume"], &[]);
    assert_eq!(container.status(), "created");
    container.must(&["start"], &[]);
    container.wait_stopped();
    for verb in ["pause", "resume"] {
        let late = container.verb(&[verb], &[]);
        assert_ne!(late.status, 0, "{verb} of a stopped container");
        if is_ours() {
            assert!(late.stderr.contains("container not running"), "{late:?}");
        }
    }
}

#[test]
fn a_paused_container_dies_of_sigkill() {
    for flags in [&["kill"][..], &["kill", "--all"]] {
        let Some(container) = counting() else { return };
        container.must(&["pause"], &[]);
        container.must(flags, &["KILL"]);
        container.wait_stopped();
        container.must(&["delete"], &[]);
        container.assert_gone();
    }
}

#[test]
fn other_signals_wait_for_the_resume() {
    let script = "trap 'echo caught; exit 7' TERM; echo ready; while true; do sleep 0.02; done";
    let Some(container) = Container::shell(script) else { return };
    container.create(&[]);
    container.must(&["start"], &[]);
    wait_until("the trap is set", || container.output("stdout") == "ready\n");
    container.must(&["pause"], &[]);
    container.must(&["kill"], &["TERM"]);
    assert_eq!(container.status(), "paused");
    assert_eq!(container.output("stdout"), "ready\n");
    container.must(&["resume"], &[]);
    container.wait_stopped();
    assert_eq!(container.output("stdout"), "ready\ncaught\n");
}

#[test]
fn a_paused_container_is_deleted_by_force() {
    let Some(container) = counting() else { return };
    let pid = container.state()["pid"].to_string();
    container.must(&["pause"], &[]);
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
    assert!(!fs::exists(format!("/proc/{pid}/root/bin")).unwrap(), "process {pid} lives on");
}
