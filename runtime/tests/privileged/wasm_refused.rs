//! Modules that the interpreter is not given: told in words at create and at exec, before anything
//! runs, or run compiled where that may be.

use super::compiled::{ENGINE, prepare};
use super::container::Container;
use super::wasm_guest::{acting, container};
use serde_json::json;
use std::fs;

/// The module of a text in a container.
fn with_module(module: &[u8]) -> Option<Container> {
    let mut container = container()?;
    fs::write(container.rootfs().join("m.wasm"), module).unwrap();
    container.set("/process/args", json!(["/m.wasm"]));
    Some(container)
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Throws and catches, and exits with what it caught.
const THROWS: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (tag $e (param i32))
    (func (export "_start")
        (block $caught (result i32)
            (try_table (catch $e $caught) (throw $e (i32.const 7)))
            unreachable)
        call $exit))"#;

/// As many constants as the text says; one function of them.
fn constants(count: usize) -> Vec<u8> {
    let body = "(drop (i64.const 1))".repeat(count);
    wat(&format!(r#"(module (memory (export "memory") 1) (func (export "_start") {body}))"#))
}

/// In WAMR's loader each of the 3,000 blocks takes more bytes in the second pass than in the first,
/// for which its constant was one too many: `wamr-runner` given this module by hand ends with
/// "malloc(): corrupted top size".
fn overflows_wamr() -> Vec<u8> {
    // The loader merges equal ones among the first ten constants only.
    let different: Vec<_> = (0..12).map(|number| format!("(drop (i64.const {number}))")).collect();
    let fill = different.concat() + &"(drop (i64.const 5))".repeat(16_388);
    let blocks = "block (result i64 i32) i64.const 5 local.get 0 i32.eqz end drop drop ";
    let blocks = blocks.repeat(3000);
    wat(&format!(
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (local i32) {fill} {blocks}))"#
    ))
}

/// Each module, and what is said of it.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    vec![
        ("exceptions", wat(THROWS), "uses exception handling (exnref) (at byte 0x"),
        (
            "threads",
            wat(r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#),
            "uses threads (shared memory and atomic instructions) (at byte 0x",
        ),
        ("a reactor", wat(r#"(module (func (export "_initialize")))"#), "is a library (a reactor)"),
        ("no program", b"\0asm\x01\0\0\0".to_vec(), "exports no function _start"),
        (
            "a reactor with an import that nobody has",
            wat(r#"(module (import "a" "b" (func)) (func (export "_initialize")))"#),
            "is a library (a reactor)",
        ),
        ("a module cut short", wat(THROWS)[..40].to_vec(), "is no valid WebAssembly module: "),
        ("a component", b"\0asm\x0d\0\x01\0".to_vec(), "is a WebAssembly component"),
        ("WAMR's native code", b"\0aot\x05\0\0\0rest".to_vec(), "(by wamrc, .aot)"),
        ("Wasmtime's", b"\x7fELF\x02\x01\x01\xc8rest".to_vec(), "(by Wasmtime, .cwasm)"),
        ("too many constants", constants(16_383), "has too many constants in function 0"),
        ("CVE-2026-54912", overflows_wamr(), "has too many constants in function 0 (at byte 0x"),
        ("wrong types", wat(&format!("(module {start} (func i32.add))")), "type mismatch"),
    ]
}

#[test]
fn what_the_interpreter_must_not_see_is_refused_at_create() {
    for (case, module, want) in refused() {
        let Some(container) = with_module(&module) else { return };
        let failed = container.create(&[]);
        assert_ne!(failed.status, 0, "{case}: {failed:?}");
        assert!(failed.stderr.contains(want), "{case}: {failed:?}");
        assert!(!failed.stderr.contains("warning"), "{case}: {failed:?}");
        container.assert_gone();
    }
}

#[test]
fn who_chose_the_interpreter_is_told_of_the_other_engine() {
    for by_annotation in [true, false] {
        let Some(mut container) = with_module(&wat(THROWS)) else { return };
        if by_annotation {
            container.set("/annotations", json!({ENGINE: "interpreted"}));
        } else {
            container.wrap(&["env", "WAMR_CRUN_ENGINE=interpreted"]);
        }
        let failed = container.create(&[]);
        let remedy = "annotation org.wamr-crun.wasm.engine to compiled or auto";
        assert!(failed.stderr.contains(remedy), "{failed:?}");
    }
}

#[test]
fn what_the_interpreter_must_not_see_is_refused_at_exec() {
    let Some(container) = acting(&["sleep"]) else { return };
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    for (case, module, want) in refused() {
        fs::write(container.rootfs().join("m.wasm"), &module).unwrap();
        let failed = container.verb(&["exec"], &["/m.wasm"]);
        assert_ne!(failed.status, 0, "{case}: {failed:?}");
        assert!(failed.stderr.contains(want), "{case}: {failed:?}");
    }
}

#[test]
fn as_many_constants_as_the_interpreter_takes_are_interpreted() {
    let Some(container) = with_module(&constants(16_382)) else { return };
    let ran = container.run();
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn what_runs_compiled_alone_is_compiled_first() {
    for (engine, module, want) in [
        ("auto", wat(THROWS), 7),
        ("compiled", wat(THROWS), 7),
        ("auto", constants(16_383), 0),
        ("compiled", overflows_wamr(), 0),
    ] {
        let Some(container) = with_module(&module) else { return };
        let Some(mut container) = prepare(container, engine) else { return };
        let ran = container.run();
        assert_eq!(ran.status, want, "{engine}: {ran:?}");
        // Where the compiler is missing, the reason comes first.
        fs::remove_file(container.bundle.path().join("bin/wamr-compile")).unwrap();
        fs::remove_dir_all(container.bundle.path().join("compiled")).unwrap();
        container.set("/annotations", json!({ENGINE: "auto"}));
        let failed = container.create(&[]);
        let (reason, remedy) = ("/m.wasm ", "wamr-compile is not installed");
        assert!(failed.stderr.contains(reason) && failed.stderr.contains(remedy), "{failed:?}");
        container.assert_gone();
    }
}
