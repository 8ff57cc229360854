//! What these tests have to know of the runner of compiled modules.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

/// The program that cargo built, and the variable that names another one.
pub const BUILT: &str = env!("CARGO_BIN_EXE_wasmtime-runner");
pub const VARIABLE: &str = "WASMTIME_RUNNER";
/// Its name in messages.
pub const NAME: &str = "wasmtime-runner";
/// What it says of a guest that calls too deep.
pub const STACK_OVERFLOW: &str = "call stack exhausted";
/// What docs/engines.md promises of an idle container.
pub const MOST_PRIVATE_KB: u64 = 160;

/// The level of processors that these tests compile for: every machine that runs them has it.
pub const LEVEL: &str = if cfg!(target_arch = "x86_64") { "x86-64" } else { "aarch64" };

/// Its column in docs/proposals.md.
pub const COLUMN: &str = "compiled";

/// Native code; nothing if the module cannot be compiled.
pub fn try_prepare(module: &[u8]) -> Option<Vec<u8>> {
    wamr_engine::compile(module, LEVEL).ok()?
}

/// What the runner is given for a module: native code.
pub fn prepare(module: &[u8]) -> Vec<u8> {
    static DONE: LazyLock<Mutex<HashMap<Vec<u8>, Vec<u8>>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let compile = || wamr_engine::compile(module, LEVEL).expect("a module that compiles");
    done.entry(module.to_vec()).or_insert_with(|| compile().expect("a level")).clone()
}
