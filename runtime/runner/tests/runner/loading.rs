//! Modules that WAMR does not load, and what is said of them.

use crate::support::{error_text, plan, run};

#[test]
fn what_cannot_be_loaded_is_126_with_the_reason() {
    let no_start = r#"(module (memory (export "memory") 1) (func (export "other")))"#;
    let table: [(&str, Vec<u8>, &str); 7] = [
        ("an empty file", vec![], "it is empty"),
        ("a text", b"#!/bin/sh\nexit 0\n".to_vec(), "magic header not detected"),
        ("a magic alone", b"\0asm".to_vec(), "unexpected end"),
        ("another version", b"\0asm\x0d\0\x01\0".to_vec(), "unknown binary version"),
        ("an AOT module", b"\0aot\x06\0\0\0".to_vec(), "AOT format 6); this runner has WAMR's"),
        ("an AOT magic alone", b"\0aot".to_vec(), "AOT format 0"),
        ("no _start", wat::parse_str(no_start).expect("wat"), "_start"),
    ];
    for (case, bytes, want) in table {
        let output = run(&bytes, plan());
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(126), "{case}: {text}");
        assert!(text.contains("wamr-runner: ") && text.contains(want), "{case}: {text}");
    }
}

#[test]
fn a_truncated_module_is_126_at_every_length() {
    // No names and no data: the code comes last, so that every cut takes some of it away.
    let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call 0 (i32.const 42))))"#;
    let whole = wat::parse_str(text).expect("wat");
    assert_eq!(run(&whole, plan()).status.code(), Some(42));
    for length in 1..whole.len() {
        let output = run(&whole[..length], plan());
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(126), "{length} of {}: {text}", whole.len());
    }
}
