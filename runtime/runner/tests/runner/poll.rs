//! `poll_oneoff` in every combination that preview 1 allows.

use std::process::Stdio;

use wamr_plan::Plan;

use crate::support::{Handover, compiled, plan, preopen};

const CHECKS: [&str; 13] = [
    "nothing",
    "unknown_kind",
    "first_of_clocks",
    "all_due_clocks",
    "absolute_beside_file",
    "file_beside_absolute",
    "processor_clock",
    "unknown_clock",
    "closed_beside_ready",
    "without_the_right",
    "one_file_many_times",
    "more_than_files_may_be_open",
    "in_place",
];

/// The check's exit status and what it wrote; 124 if it waits for ever.
fn check(module: &[u8], name: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        args: vec![b"/poll.wasm".to_vec(), name.into()],
        preopens: vec![preopen("/", directory.path())],
        ..plan()
    };
    let (idle, _writer) = std::io::pipe().expect("a pipe");
    let limited = ["timeout", "60", "sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"];
    let handover = Handover::new(module, plan);
    let output = handover.command(&limited).stdin(Stdio::from(idle)).output();
    let output = output.expect("the runner starts");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_combination_works() {
    let Some(module) = compiled("poll") else { return };
    for name in CHECKS {
        assert_eq!(check(&module, name), (Some(0), String::new()), "{name}");
    }
}
