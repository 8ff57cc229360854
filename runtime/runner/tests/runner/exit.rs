//! Exit statuses and the texts that go with them.

use std::process::Command;

use crate::engine;
use crate::support::{Handover, error_text, module, plan, run, runner};

#[test]
fn proc_exit_and_return_become_the_exit_status() {
    for status in ["0", "1", "42", "126", "255"] {
        let output = run(&module("exit", &[("STATUS", status)]), plan());
        assert_eq!(output.status.code(), status.parse().ok(), "proc_exit({status})");
        assert_eq!(error_text(&output), "", "proc_exit({status})");
    }
    let output = run(&module("return", &[]), plan());
    assert_eq!((output.status.code(), error_text(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_trap_is_134_with_the_reason() {
    let table = [
        ("unreachable", "unreachable"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("(i64.store offset=65529 (i32.const 0) (i64.const 1))", "out of bounds memory access"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        ("(drop (call $deeper (i64.const 1)))", engine::STACK_OVERFLOW),
    ];
    for (trap, want) in table {
        let output = run(&module("trap", &[("TRAP", trap)]), plan());
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(134), "{trap}: {text}");
        let name = format!("{}: ", engine::NAME);
        assert!(text.starts_with(&name) && text.contains(want), "{trap}: {text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("    at ")), "{text}");
    }
}

/// A function without a name is told by its number, which counts the imported ones first.
#[test]
fn a_trap_names_the_functions_of_the_guest() {
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (memory (export "memory") 1)
        (func $innermost unreachable) (func (call $innermost))
        (func $outer (export "_start") (call 2)))"#;
    let output = run(&wat::parse_str(text).expect("wat"), plan());
    let text = error_text(&output);
    assert_eq!(output.status.code(), Some(134), "{text}");
    let functions: Vec<_> =
        text.lines().skip(1).filter_map(|line| line.trim().split(" (").next()).collect();
    assert_eq!(functions, ["at innermost", "at function 2", "at outer"], "{text}");
}

#[test]
fn a_trap_in_a_deep_recursion_shows_the_last_calls() {
    let output = run(&module("trap", &[("TRAP", "(drop (call $deeper (i64.const 1)))")]), plan());
    let text = error_text(&output);
    let lines = text.lines().filter(|line| line.starts_with("    at deeper")).count();
    assert_eq!(lines, 20, "{text}");
    assert!(text.lines().count() <= 22, "{text}");
}

/// The start of a command does what a library's initialiser does; twice would be wrong.
#[test]
fn a_commands_initialiser_is_not_called() {
    for name in ["_initialize", "__wasm_call_ctors", "__post_instantiate"] {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
                (memory (export "memory") 1)
                (func (export "{name}") unreachable) (func (export "_start")))"#
        );
        let without_wasi = text
            .replace(r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#, "");
        for text in [text, without_wasi] {
            let output = run(&wat::parse_str(&text).expect("wat"), plan());
            assert_eq!(output.status.code(), Some(0), "{name}: {}", error_text(&output));
        }
    }
}

/// Both engines link lazily, so that a module may import what it never calls.
#[test]
fn an_import_that_nobody_provides_is_warned_about_and_traps_when_called() {
    for (call, status) in [("(call 0)", 134), ("", 0)] {
        let text = format!(
            r#"(module (import "env" "no_such" (func)) (memory (export "memory") 1)
                (func (export "_start") {call}))"#
        );
        let output = run(&wat::parse_str(text).expect("wat"), plan());
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(
            text.starts_with("warning: failed to link import function (env, no_such)"),
            "{text}"
        );
        assert_eq!(output.stdout, b"", "messages are not the guest's output");
    }
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    for arguments in [&[][..], &["--help"], &["-1"], &["plan.bin"], &["99999999999"]] {
        let output = Command::new(runner()).args(arguments).output().expect("the runner starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error_text(&output).contains(&format!("usage: {}", engine::NAME)), "{arguments:?}");
    }
}

#[test]
fn a_descriptor_that_is_not_open_is_named() {
    let output = Command::new(runner()).arg("900").output().expect("the runner starts");
    assert_eq!(output.status.code(), Some(126));
    let text = error_text(&output);
    assert!(text.contains("descriptor 900: Bad file descriptor"), "{text}");
}

#[test]
fn a_module_descriptor_that_is_not_open_is_named() {
    let bytes = wamr_plan::Plan { module_fd: 901, ..plan() }.encode();
    let output = Handover::of_bytes(&bytes).command(&[]).output().expect("the runner starts");
    assert_eq!(output.status.code(), Some(126));
    let text = error_text(&output);
    assert!(text.contains("map the module from descriptor 901"), "{text}");
}
