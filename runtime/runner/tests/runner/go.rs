//! A guest of Go's: one thread for all its goroutines, and a working directory of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use wamr_plan::Plan;

use crate::support::{GUESTS, Handover, Running, error_text, plan, preopen};

/// The Go program `guests/<name>.go` as a module, if there is a compiler.
fn compiled(name: &str) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let module = directory.path().join("module.wasm");
    let mut command = Command::new("go");
    command.args(["build", "-ldflags=-s -w", "-o"]).arg(&module);
    command.arg(Path::new(GUESTS).join(name).with_extension("go"));
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOTOOLCHAIN", "local");
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{name}: {}", error_text(&output)),
        Err(error) => {
            wamr_testing::lacking(format!("go cannot be started: {error}"));
            return None;
        }
    }
    Some(fs::read(module).expect("go made it"))
}

#[test]
fn a_goroutine_that_reads_does_not_stop_the_others() {
    let Some(module) = compiled("reader") else { return };
    let root = tempfile::tempdir().expect("a temporary directory");
    let app = root.path().join("app");
    fs::create_dir(&app).expect("a writable directory");
    fs::write(app.join("input"), "content").expect("a writable directory");
    let plan = Plan {
        cwd: b"/app".to_vec(),
        preopens: vec![preopen("/", root.path()), preopen(".", &app)],
        stack_bytes: 1 << 20,
        ..plan()
    };
    let handover = Handover::new(&module, plan);
    // If all goroutines wait for the line, it ends by itself.
    let mut command = handover.command(&["timeout", "60"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().expect("the runner starts"));
    let mut stdin = running.0.stdin.take().expect("a pipe was asked for");
    let stdout = running.0.stdout.take().expect("a pipe was asked for");
    let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("text"));
    let mut line = || lines.next().unwrap_or_default();
    assert_eq!(line(), "went on");
    stdin.write_all(b"text\n").expect("the guest reads");
    assert_eq!((line(), line()), ("text".to_owned(), "/app".to_owned()));
    assert_eq!(running.0.wait().expect("a child of this process").code(), Some(0));
    assert_eq!(fs::read(app.join("output")).expect("the guest made it"), b"content");
}
