//! Pause and resume, and how a paused container ends.

use super::container::{Container, is_ours, wait_until};
use std::fs;
use std::path::PathBuf;

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

/// Freezes the process in a group below that of the container, as one may that has groups of its
/// own to write to.
fn freeze_below(container: &Container) {
    let pid = container.state()["pid"].to_string();
    let child = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let listing = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path_of = |name: &str| {
        let mut lines = listing.lines().map(|line| line.splitn(3, ':').skip(1));
        lines.find_map(|mut line| (line.next()? == name).then(|| line.next()).flatten())
    };
    let (directory, file, value) = match path_of("freezer") {
        Some(path) => (format!("/sys/fs/cgroup/freezer{path}"), "freezer.state", "FROZEN"),
        None => (format!("/sys/fs/cgroup{}", path_of("").unwrap()), "cgroup.freeze", "1"),
    };
    let below = PathBuf::from(directory).join("below/deeper");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("cgroup.procs"), child.trim()).unwrap();
    fs::write(below.join(file), value).unwrap();
}

#[test]
fn a_frozen_group_below_does_not_outlive_the_container() {
    for (verb, arguments) in
        [(&["kill"][..], &["KILL"][..]), (&["kill", "--all"], &["KILL"]), (&["delete", "-f"], &[])]
    {
        let script = "sleep 1000 & echo up; wait";
        let Some(container) = Container::shell(script) else { return };
        container.create(&[]);
        container.must(&["start"], &[]);
        wait_until("its child is there", || container.output("stdout") == "up\n");
        freeze_below(&container);
        container.must(verb, arguments);
        if verb[0] == "kill" {
            container.wait_stopped();
            container.must(&["delete"], &[]);
        }
        container.assert_gone();
    }
}
