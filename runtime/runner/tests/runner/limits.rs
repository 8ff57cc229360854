//! Guests that want more than there is: each ends in a status and a text, never by a signal that
//! tells of corrupted memory.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use wamr_plan::{DEFAULT_STACK_BYTES, Plan};

use crate::engine;
use crate::support::{error_text, plan, run_in};

/// Runs it with little processor time, and asserts that nothing but that limit can kill it.
pub fn survive(case: &str, module: &[u8], plan: Plan, limits: &[&str]) -> Output {
    let wrapper = [&["prlimit", "--cpu=5", "--core=0"], limits].concat();
    let output = run_in(&wrapper, module, plan);
    let killed = output.status.signal().filter(|signal| *signal != libc::SIGXCPU);
    assert_eq!(killed, None, "{case}: {:?} {}", output.status, error_text(&output));
    output
}

/// The module of a text.
pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
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
        for stack_bytes in [4096, 64 << 10, DEFAULT_STACK_BYTES, 32 << 20] {
            for native in ["--stack=131072", "--stack=8388608"] {
                let case = format!("{case}, {stack_bytes} bytes, {native}");
                let plan = Plan { stack_bytes, ..plan() };
                let output = survive(&case, &guest, plan, &[native]);
                let text = error_text(&output);
                assert_eq!(output.status.code(), Some(134), "{case}: {text}");
                assert!(text.contains(engine::STACK_OVERFLOW), "{case}: {text}");
                assert!(text.contains("org.wamr-crun.wasm.stack-bytes"), "{case}: {text}");
            }
        }
    }
}

/// Nested data and recursive programs go this deep; C's own stack holds it.
#[test]
fn calls_go_as_deep_as_a_native_programs() {
    let guest = wat(r#"(module (memory (export "memory") 1)
        (func $sum (param $n i32) (result i32)
            (if (result i32) (local.get $n)
                (then (i32.add (i32.const 1) (call $sum (i32.sub (local.get $n) (i32.const 1)))))
                (else (i32.const 0))))
        (func (export "_start")
            (if (i32.ne (call $sum (i32.const 50000)) (i32.const 50000)) (then unreachable))))"#);
    let output = survive("50,000 calls", &guest, plan(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    // A compiled guest has at least 4 MiB: room enough for these.
    let deeper = Plan { stack_bytes: 64 << 20, ..plan() };
    let output = survive("a larger stack", &guest, deeper, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
}

/// What the guest does before `_start` ends as anything else that it does.
#[test]
fn a_trap_of_the_start_function_is_told_as_such() {
    for (start, want) in [("unreachable", "unreachable"), ("(call $f)", engine::STACK_OVERFLOW)] {
        let guest = wat(&format!(
            r#"(module (memory (export "memory") 1)
                (func $f {start}) (start $f) (func (export "_start")))"#
        ));
        let output = survive(start, &guest, plan(), &[]);
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(134), "{start}: {text}");
        let reason = text.lines().next().unwrap_or_default();
        assert!(reason.contains(want) && !reason.contains("instantiate"), "{start}: {text}");
    }
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
            Some(126) => assert!(text.contains(engine::NAME), "{case}: {text}"),
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
