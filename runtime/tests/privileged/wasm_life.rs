//! How a Wasm container ends: stop signals, limits, traps, and what was refused before.

use super::container::{Container, by_systemd, has_controllers, is_v2, wait_until};
use super::wasm_guest::{acting, workload};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// A container in the foreground, past its first line.
fn running(container: &Container) -> Child {
    container.write_config();
    let bundle = container.bundle.path().to_str().unwrap();
    let mut run = container.command(&["run", "--bundle", bundle, &container.id]);
    let mut child = run.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Unbuffered: what comes after the line stays in the pipe.
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::with_capacity(1, stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn stop_signals_end_a_guest_that_spins_sleeps_or_waits_for_a_reader() {
    for act in ["spin", "sleep", "flood"] {
        for (signal, want) in [("TERM", 143), ("INT", 130), ("QUIT", 131), ("HUP", 129)] {
            let Some(container) = acting(&[act]) else { return };
            let mut child = running(&container);
            container.must(&["kill"], &[signal]);
            assert_eq!(child.wait().unwrap().code(), Some(want), "{signal}, {act}");
            container.assert_gone();
        }
    }
}

#[test]
fn a_pipe_that_was_full_takes_the_rest_later() {
    let Some(container) = acting(&["flood"]) else { return };
    let mut child = running(&container);
    let mut rest = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 1 << 20);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_memory_limit_ends_the_guest_and_is_counted() {
    if !has_controllers(&["memory"]) {
        return;
    }
    let limited = || {
        let mut container = workload("memory.c")?;
        container.set("/process/env", json!(["MEMORY_MIB=256"]));
        let memory = json!({"limit": 48 << 20, "swap": 48 << 20});
        container.set("/linux/resources", json!({"memory": memory}));
        Some(container)
    };
    let Some(container) = limited() else { return };
    let ran = container.run();
    assert_eq!(ran.status, 137, "{ran:?}");
    let Some(container) = limited() else { return };
    assert_eq!(container.create(&[]).status, 0);
    let group = container.cgroup("memory");
    container.must(&["start"], &[]);
    container.wait_stopped();
    let file = if is_v2() { "memory.events" } else { "memory.oom_control" };
    let counters = fs::read_to_string(group.join(file));
    // systemd removes a group, and what it counted, with the last process.
    if !by_systemd() || counters.is_ok() {
        let counters = counters.unwrap();
        assert!(counters.lines().any(|line| line == "oom_kill 1"), "{counters}");
    }
    assert!(!container.output("stdout").contains("touched_mib"));
}

#[test]
fn memory_within_the_limit_is_given() {
    let Some(mut container) = workload("memory.c") else { return };
    container.set("/process/args", json!(["/guest.wasm", "8"]));
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    wait_until("8 MiB are touched", || container.output("stdout").contains("touched_mib=8\n"));
}

#[test]
fn the_annotation_limits_linear_memory() {
    let Some(mut container) = workload("memory.c") else { return };
    container.set("/annotations", json!({"org.wamr-crun.wasm.max-memory-pages": "64"}));
    container.set("/process/args", json!(["/guest.wasm", "8"]));
    let ran = container.run();
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("no memory after"), "{ran:?}");
}

#[test]
fn a_function_as_entry_point_is_refused_in_words() {
    let Some(mut container) = acting(&[]) else { return };
    container.set("/process/args", json!(["/guest.wasm#main"]));
    let failed = container.create(&[]);
    assert_ne!(failed.status, 0);
    assert!(failed.stderr.contains("function _start"), "{failed:?}");
    container.assert_gone();
}
