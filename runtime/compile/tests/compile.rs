//! The compiler as a process: what it writes, what it says of modules that it does not compile, and
//! that a hostile one ends in a status.
//!
//! Tier: quick

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use wamr_cache::Level;

const LEVEL: Level = if cfg!(target_arch = "x86_64") { Level::X86V2 } else { Level::Aarch64 };

/// A file that a child inherits.
fn inherited(content: &[u8]) -> File {
    let mut file = File::from(memfd_create(c"file", MFdFlags::empty()).unwrap());
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

fn command(module: &File, artifact: &File, fingerprint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamr-compile"));
    for file in [module, artifact] {
        command.arg(file.as_raw_fd().to_string());
    }
    command.args([LEVEL.as_str(), fingerprint, "waiting"]).env_clear();
    command
}

fn compile(module: &[u8]) -> (Output, Vec<u8>) {
    let (module, mut artifact) = (inherited(module), inherited(b""));
    let output = command(&module, &artifact, LEVEL.fingerprint()).output().unwrap();
    let mut written = Vec::new();
    artifact.rewind().unwrap();
    artifact.read_to_end(&mut written).unwrap();
    (output, written)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_module_becomes_native_code() {
    let module = wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let (output, written) = compile(&module);
    assert!(output.status.success(), "{}", text(&output));
    assert!(written.starts_with(b"\x7fELF"));
    let (_, again) = compile(&module);
    assert!(written == again, "the same module gives the same bytes");
}

#[test]
fn what_is_not_compiled_is_told() {
    let with_import = |import: &str| wat(&format!("(module (import {import} (func)))"));
    for (module, want) in [
        (b"no module".to_vec(), "compile the module: "),
        (b"".to_vec(), "compile the module: "),
        (
            wat(r#"(module (func (export "_start") (result i32) (i32.add)))"#),
            "compile the module: ",
        ),
        (wat(r#"(module (func (export "_initialize")))"#), "exports no function _start"),
        (with_import(r#""wasi_snapshot_preview1" "sock_open""#), "socket function sock_open"),
    ] {
        let (output, written) = compile(&module);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains(want) && written.is_empty(), "{}", text(&output));
    }
}

/// A filter that ends the compiler when it does what it has not asked for would show here.
#[test]
fn no_byte_of_a_module_ends_it_by_a_signal() {
    let whole = wat(r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1) (data (i32.const 8) "text")
        (func (export "_start") (call 0 (i32.const 42))))"#);
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x80;
        for module in [&bytes[..], &whole[..place]] {
            let (output, _) = compile(module);
            assert_eq!(output.status.signal(), None, "byte {place}: {}", text(&output));
            assert!(matches!(output.status.code(), Some(0 | 3)), "byte {place}: {output:?}");
        }
    }
}

#[test]
fn another_release_is_noticed() {
    let (module, artifact) = (inherited(b""), inherited(b""));
    let output = command(&module, &artifact, "0123456789abcdef").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("not of one release"), "{}", text(&output));
    fcntl(&module, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    let output = command(&module, &artifact, LEVEL.fingerprint()).output().unwrap();
    assert!(text(&output).contains("a descriptor is not open"), "{}", text(&output));
}

/// Wasmtime or its configuration has changed if this fails: the new numbers belong into
/// `runtime/cache/src/cpu.rs`, and nothing that was compiled before is used again.
#[test]
fn the_cache_knows_what_decides_whether_code_runs() {
    for level in Level::ALL {
        if (level == Level::Aarch64) != cfg!(target_arch = "aarch64") {
            continue;
        }
        let found = wamr_engine::fingerprint(level.as_str()).unwrap().unwrap();
        assert_eq!(format!("{found:016x}"), level.fingerprint(), "{}", level.as_str());
    }
    assert!(wamr_engine::fingerprint("x86-64-v9").unwrap().is_none());
}
