//! Wasmtime's configuration. What the compiler writes runs only where the same is set, so both
//! programs take it from here.
//!
//! Every container has an engine of its own, so nothing is kept for reuse; what a guest may use is
//! what Wasmtime runs without threads.

mod sys;

use wasmtime::{Collector, Config, WasmBacktraceDetails};

/// The configuration of a runner whose guest may use `stack_bytes` of the native stack.
pub fn runner_config(stack_bytes: usize) -> Config {
    let mut config = shared();
    let stack_bytes = stack_bytes.max(1);
    // No guest runs on such a stack, but the one limit must not lie above the other.
    config.async_stack_size(stack_bytes).max_wasm_stack(stack_bytes);
    config
}

/// Compiles `module` for processors of `level`; nothing if there is no such level.
///
/// # Errors
/// Wasmtime's: the module is not valid, or uses what is not built in.
#[cfg(feature = "compiler")]
pub fn compile(module: &[u8], level: &str) -> wasmtime::Result<Option<Vec<u8>>> {
    let Some(config) = compiler_config(level)? else { return Ok(None) };
    wasmtime::Engine::new(&config)?.precompile_module(module).map(Some)
}

/// A number that changes with whatever decides whether an artifact runs: Wasmtime's version, its
/// configuration, and `level`; nothing if there is no such level.
///
/// # Errors
/// Wasmtime's.
#[cfg(feature = "compiler")]
pub fn fingerprint(level: &str) -> wasmtime::Result<Option<u64>> {
    use std::hash::{Hash, Hasher};
    let Some(config) = compiler_config(level)? else { return Ok(None) };
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    wasmtime::Engine::new(&config)?.precompile_compatibility_hash().hash(&mut hasher);
    Ok(Some(hasher.finish()))
}

/// FNV-1a: the same in every process, as the standard library does not promise of its own.
#[cfg(feature = "compiler")]
struct Fnv(u64);

#[cfg(feature = "compiler")]
impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }
}

#[cfg(feature = "compiler")]
fn compiler_config(level: &str) -> wasmtime::Result<Option<Config>> {
    let Some(features) = features(level) else { return Ok(None) };
    let mut config = shared();
    // Named, or the compiler would take whatever the machine has that it runs on.
    config.target(target())?;
    for feature in features {
        sys::enable_feature(&mut config, feature);
    }
    Ok(Some(config))
}

#[cfg(feature = "compiler")]
fn target() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "aarch64-unknown-linux-gnu",
        _ => "x86_64-unknown-linux-gnu",
    }
}

fn shared() -> Config {
    let mut config = Config::new();
    config
        .memory_init_cow(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // The runner unwinds by frame pointers; tables for others would be registered, and kept.
        .native_unwind_info(false)
        .collector(Collector::DeferredReferenceCounting)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true);
    config
}

#[cfg(feature = "compiler")]
const V2: [&str; 6] =
    ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_cmpxchg16b"];
#[cfg(feature = "compiler")]
const V3: [&str; 5] = ["has_avx", "has_avx2", "has_bmi1", "has_bmi2", "has_fma"];
#[cfg(feature = "compiler")]
const V3_MORE: [&str; 1] = ["has_lzcnt"];
#[cfg(feature = "compiler")]
const V4: [&str; 3] = ["has_avx512f", "has_avx512dq", "has_avx512vl"];

/// Instructions beyond the architecture's first version.
///
/// Source: System V ABI, AMD64 supplement, "micro-architecture levels".
#[cfg(feature = "compiler")]
fn features(level: &str) -> Option<Vec<&'static str>> {
    let lists: &[&[&'static str]] = match level {
        "x86-64" | "aarch64" => &[],
        "x86-64-v2" => &[&V2],
        "x86-64-v3" => &[&V2, &V3, &V3_MORE],
        "x86-64-v4" => &[&V2, &V3, &V3_MORE, &V4],
        _ => return None,
    };
    Some(lists.concat())
}
