//! Modules that no compiler makes: each ends in a status and a text, never by a signal that tells
//! of corrupted memory. `make fuzz` looks for more of them.
//!
//! Tier: quick

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use wamr_plan::Plan;

use crate::support::{error_text, module, plan, run_in};

/// Runs it with little processor time, and asserts that nothing but that limit can kill it.
fn survive(case: &str, module: &[u8], plan: Plan, limits: &[&str]) -> Output {
    let wrapper = [&["prlimit", "--cpu=5", "--core=0"], limits].concat();
    let output = run_in(&wrapper, module, plan);
    let killed = output.status.signal().filter(|signal| *signal != libc::SIGXCPU);
    assert_eq!(killed, None, "{case}: {:?} {}", output.status, error_text(&output));
    output
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_module_cut_anywhere_is_refused() {
    let whole = module("strings", &[("LIST", "args")]);
    for length in 1..whole.len() {
        let output = survive(&format!("{length} bytes"), &whole[..length], plan(), &[]);
        let text = error_text(&output);
        // Without the names for debuggers, a section of kind 0 at its end, it is whole.
        if output.status.code() == Some(0) && whole[length] == 0 {
            continue;
        }
        assert_eq!(output.status.code(), Some(126), "{length} bytes: {text}");
        assert!(text.contains("wamr-runner: "), "{length} bytes: {text}");
    }
}

#[test]
fn no_byte_of_a_module_crashes_the_runner() {
    let whole = module("strings", &[("LIST", "args")]);
    for place in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            survive(&format!("byte {place} ^ {flip:#x}"), &bytes, plan(), &[]);
        }
    }
}

/// The operand stack of WAMR has a check of its own, and the native stack has WAMR's boundary: so
/// there is a trap before anything is overwritten, whichever of the two is small.
#[test]
fn deep_recursion_traps_on_any_stack() {
    let table = [
        ("itself", "(func $f (call $f))", ""),
        ("each other", "(func $f (call $g)) (func $g (call $f))", ""),
        (
            "through a table",
            "(func $f (call_indirect (i32.const 0)))",
            "(table 1 funcref) (elem (i32.const 0) $f)",
        ),
        ("with locals", &format!("(func $f (local {}) (call $f))", "i64 ".repeat(2000)), ""),
        ("through a host function", "(func $f (drop (call $yield)) (call $f))", ""),
    ];
    for (case, functions, more) in table {
        let guest = wat(&format!(
            r#"(module
                (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
                (memory (export "memory") 1) {more} {functions}
                (func (export "_start") (call $f)))"#
        ));
        for stack_bytes in [4096, 64 << 10, 32 << 20] {
            for native in ["--stack=131072", "--stack=8388608"] {
                let case = format!("{case}, {stack_bytes} bytes, {native}");
                let plan = Plan { stack_bytes, ..plan() };
                let output = survive(&case, &guest, plan, &[native]);
                let text = error_text(&output);
                assert_eq!(output.status.code(), Some(134), "{case}: {text}");
                assert!(text.contains("stack overflow"), "{case}: {text}");
            }
        }
    }
}

#[test]
fn blocks_within_blocks_do_not_use_up_the_native_stack() {
    for depth in [1000, 20_000] {
        // Bytes, as the parser of text would recurse itself.
        let mut body = vec![0];
        body.extend([0x02, 0x40].repeat(depth));
        body.extend([0x0b].repeat(depth + 1));
        let mut guest = wat(r#"(module (memory (export "memory") 1) (export "_start" (func 0))
            (func))"#);
        // The code section is the last one: its content is one function of an empty body.
        guest.truncate(guest.len() - 6);
        let mut code = vec![1];
        code.extend(leb(body.len()));
        code.extend(body);
        guest.push(10);
        guest.extend(leb(code.len()));
        guest.extend(code);
        let case = format!("{depth} blocks");
        let output = survive(&case, &guest, plan(), &["--stack=131072"]);
        assert_eq!(output.status.code(), Some(0), "{case}: {}", error_text(&output));
    }
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn sizes_beyond_reason_are_refused_or_cost_nothing() {
    let start = r#"(func (export "_start"))"#;
    for (case, declared, limits) in [
        ("4 GiB of memory", r#"(memory (export "memory") 65536)"#, &[][..]),
        ("4 GiB in little space", r#"(memory (export "memory") 65536)"#, &["--as=2147483648"]),
        (
            "a table of 10 million",
            r#"(memory (export "memory") 1) (table 10000000 funcref)"#,
            &["--data=268435456"],
        ),
        (
            "data outside of the memory",
            r#"(memory (export "memory") 1) (data (i32.const 65535) "xx")"#,
            &[],
        ),
    ] {
        let output = survive(case, &wat(&format!("(module {declared} {start})")), plan(), limits);
        let text = error_text(&output);
        match output.status.code() {
            Some(0) => {}
            Some(126) => assert!(text.contains("wamr-runner: "), "{case}: {text}"),
            other => panic!("{case}: {other:?} {text}"),
        }
    }
}

#[test]
fn an_import_that_nobody_has_is_told_and_traps_when_it_is_called() {
    for (call, want) in [("", 0), ("(call $none)", 134)] {
        let guest = wat(&format!(
            r#"(module (import "nowhere" "nothing" (func $none))
                (memory (export "memory") 1) (func (export "_start") {call}))"#
        ));
        let output = survive(call, &guest, plan(), &[]);
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(want), "{text}");
        assert!(text.contains("nothing") && output.stdout.is_empty(), "{text}");
    }
}
