//! `wamr-bench count` on real programs.
//!
//! Tier: test

use std::fs;
use std::io::Write;
use std::process::{Command, ExitStatus};

/// How the shell's `script` ended under the counter, and the count.
fn counted(script: &str) -> (ExitStatus, u64) {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("count");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamr-bench"));
    command.arg("count").arg(&out).args(["--", "/bin/sh", "-c", script]);
    let status = command.status().unwrap();
    (status, fs::read_to_string(out).unwrap().parse().unwrap())
}

#[test]
fn calls_of_children_count_and_the_status_is_the_programs() {
    let (status, alone) = counted("exit 7");
    assert_eq!(status.code(), Some(7));
    assert!(alone > 5, "{alone}");
    let (_, child) = counted("(exit 3); exit 0");
    assert!(child > alone, "{child} {alone}");
    let (_, program) = counted("/bin/true; exit 0");
    assert!(program > child, "{program} {child}");
    let (status, _) = counted("kill -9 $$");
    assert_eq!(status.code(), Some(137));
}

#[test]
fn a_program_that_is_left_behind_runs_on_untraced() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("gate");
    let mark = directory.path().join("mark");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("(read x <{} && touch {}) &", fifo.display(), mark.display());
    assert!(counted(&script).0.success());
    // Open for both sides: without a reader this does not wait.
    let mut gate = fs::File::options().read(true).write(true).open(&fifo).unwrap();
    gate.write_all(b"go\n").unwrap();
    for _ in 0..1000 {
        if mark.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it does not run on");
}
