//! Files that are no artifact of this runner, and what is said of them.

use std::os::unix::process::ExitStatusExt;

use crate::engine;
use crate::support::{Handover, error_text, module, plan};

fn run(artifact: &[u8]) -> std::process::Output {
    Handover::unprepared(artifact, plan()).command(&[]).output().expect("the runner starts")
}

#[test]
fn what_is_no_artifact_is_126_with_the_reason() {
    let no_start = r#"(module (memory (export "memory") 1) (func (export "other")))"#;
    let no_start = engine::prepare(&wat::parse_str(no_start).expect("wat"));
    let with_memory = r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#;
    let with_memory = engine::prepare(&wat::parse_str(with_memory).expect("wat"));
    let runner = std::fs::read(crate::support::runner()).expect("the runner can be read");
    let table: [(&str, &[u8], &str); 6] = [
        ("an empty file", &[], "load the compiled module"),
        ("a text", b"#!/bin/sh\nexit 0\n", "load the compiled module"),
        ("a module", &module("return", &[]), "load the compiled module"),
        ("another program", &runner, "load the compiled module"),
        ("no _start", &no_start, "_start"),
        ("an import that is no function", &with_memory, "(env, memory)"),
    ];
    for (case, bytes, want) in table {
        let output = run(bytes);
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(126), "{case}: {text}");
        assert!(text.starts_with("wasmtime-runner: ") && text.contains(want), "{case}: {text}");
    }
}

/// The cache compares digests, so none of these ever gets here; it is not to be run even so.
#[test]
fn an_artifact_cut_anywhere_is_refused() {
    let whole = engine::prepare(&module("exit", &[("STATUS", "42")]));
    assert_eq!(run(&whole).status.code(), Some(42));
    for length in (1..whole.len()).step_by(997) {
        let output = run(&whole[..length]);
        assert_eq!(output.status.signal(), None, "{length} of {}", whole.len());
        assert_eq!(output.status.code(), Some(126), "{length} of {}", whole.len());
    }
}
