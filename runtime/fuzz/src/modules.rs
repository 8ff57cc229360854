//! Any bytes as a module for the runner, in a process under limits: it ends with a status of its
//! own or by a limit, never by a signal that tells of corrupted memory.
//!
//! The first byte chooses: the rest is the module itself, or the seed of a valid one that imports
//! functions of WASI, or of one that is damaged afterwards. `WAMR_RUNNER` names the runner,
//! `WAMR_FUZZ_SCRATCH` the directory that is preopened.
#![no_main]

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use wamr_plan::{Plan, Preopen};
use wasm_smith::{Config, Module};

/// Processor time in s, memory and files in bytes.
const LIMITS: [&str; 4] = ["--cpu=2", "--data=536870912", "--fsize=1048576", "--core=0"];
/// Steps of a generated module, so that most end by themselves.
const FUEL: u32 = 10_000;

/// What generated modules may import: every function reads or writes the guest's memory.
const IMPORTS: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_readlink"
    (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_bind" (func (param i32 i32) (result i32))))"#;

/// What the runner must find to call the module at all.
const EXPORTS: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start")))"#;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let module = match choice % 3 {
        0 => Some(rest.to_vec()),
        1 => generated(rest),
        _ => damaged(rest),
    };
    let Some(module) = module.filter(|module| !module.is_empty()) else { return };
    let status = run(&module);
    let limits = [Signal::SIGXCPU as i32, Signal::SIGKILL as i32];
    let died = status.signal().filter(|signal| !limits.contains(signal));
    assert_eq!(died, None, "the runner died by a signal: {status}");
});

/// A valid module, some bytes of which are then others: damage deep inside, where bytes made up
/// from nothing hardly ever get.
fn damaged(seed: &[u8]) -> Option<Vec<u8>> {
    let (edits, seed) = seed.split_at_checked(12)?;
    let mut module = generated(seed)?;
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % module.len();
        module[place] = edit[2];
    }
    Some(module)
}

/// A valid module with the bytes as its seed.
fn generated(seed: &[u8]) -> Option<Vec<u8>> {
    let config = Config {
        available_imports: wat::parse_str(IMPORTS).ok(),
        exports: wat::parse_str(EXPORTS).ok(),
        // What the runner's WAMR is built with.
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        simd_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        max_memories: 1,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(seed)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}

fn run(module: &[u8]) -> ExitStatus {
    let module = inherited_file(c"module", module);
    let plan = Plan {
        module_fd: module.as_raw_fd() as u32,
        args: vec![b"/guest.wasm".to_vec()],
        env: vec![b"NAME=value".to_vec()],
        cwd: b"/".to_vec(),
        preopens: vec![Preopen {
            guest_path: b"/".to_vec(),
            container_path: scratch().as_bytes().to_vec(),
        }],
        socket_networks: vec![],
        socket_names: vec![],
        stack_bytes: 64 << 10,
        heap_bytes: 0,
        max_memory_pages: 256,
    };
    let plan = inherited_file(c"plan", &plan.encode());
    let runner = std::env::var_os("WAMR_RUNNER").expect("WAMR_RUNNER names the runner");
    let mut command = Command::new("prlimit");
    command.args(LIMITS).arg(runner).arg(plan.as_raw_fd().to_string()).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("the runner starts")
}

/// The guest's only directory.
fn scratch() -> &'static str {
    static SCRATCH: OnceLock<String> = OnceLock::new();
    SCRATCH.get_or_init(|| std::env::var("WAMR_FUZZ_SCRATCH").expect("the guests' directory"))
}

fn inherited_file(name: &CStr, content: &[u8]) -> OwnedFd {
    let fd = memfd_create(name, MFdFlags::empty()).expect("memfd_create");
    let mut file = File::from(fd);
    file.write_all(content).expect("a memfd takes what memory holds");
    file.into()
}
