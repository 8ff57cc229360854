//! The program itself, run in a directory.

use std::path::Path;
use std::process::{Command, Output};

pub fn program(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wamr-report"))
        .args(arguments)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// What was printed.
pub fn words(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The exit status, and both streams one after the other.
pub fn status_and_text(arguments: &[&str], dir: &Path) -> (Option<i32>, String) {
    let output = program(arguments, dir);
    (output.status.code(), words(&[output.stdout, output.stderr].concat()))
}
