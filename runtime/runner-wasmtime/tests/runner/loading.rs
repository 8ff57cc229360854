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

/// The functions carry the names that the module gives them.
#[test]
fn a_trap_names_the_functions_of_the_guest() {
    let text = r#"(module (memory (export "memory") 1)
        (func $innermost unreachable) (func $middle (call $innermost))
        (func (export "_start") (call $middle)))"#;
    let output = run(&engine::prepare(&wat::parse_str(text).expect("wat")));
    let text = error_text(&output);
    assert_eq!(output.status.code(), Some(134), "{text}");
    let names: Vec<_> = text.lines().skip(1).map(str::trim).collect();
    assert!(
        names[0].starts_with("at innermost (") && names[1].starts_with("at middle ("),
        "{text}"
    );
}

#[test]
fn what_the_interpreter_lacks_runs() {
    for (case, module) in [
        (
            "exceptions",
            r#"(module (memory (export "memory") 1) (tag $e (param i32))
                (func (export "_start")
                    (block $caught (result i32)
                        (try_table (catch $e $caught) (throw $e (i32.const 7)))
                        unreachable)
                    (if (i32.ne (i32.const 7)) (then unreachable))))"#,
        ),
        (
            "several memories",
            r#"(module (memory (export "memory") 1) (memory $two 1)
                (func (export "_start")
                    (i32.store $two (i32.const 0) (i32.const 9))
                    (if (i32.ne (i32.load $two (i32.const 0)) (i32.const 9))
                        (then unreachable))))"#,
        ),
        (
            "garbage collection",
            r#"(module (memory (export "memory") 1) (type $pair (struct (field i32) (field i32)))
                (func (export "_start")
                    (if (i32.ne (struct.get $pair 1
                            (struct.new $pair (i32.const 1) (i32.const 2))) (i32.const 2))
                        (then unreachable))))"#,
        ),
    ] {
        let module = wat::parse_str(module).unwrap_or_else(|error| panic!("{case}: {error}"));
        let output = run(&engine::prepare(&module));
        assert_eq!(output.status.code(), Some(0), "{case}: {}", error_text(&output));
    }
}
