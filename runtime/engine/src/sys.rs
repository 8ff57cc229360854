//! Settings of Wasmtime that it cannot check.
#![allow(unsafe_code)]

/// Lets the compiler use an instruction set.
#[cfg(feature = "compiler")]
pub fn enable_feature(config: &mut wasmtime::Config, feature: &str) {
    // SAFETY: a feature of the processor only changes which instructions are used, and the runner's
    // Wasmtime refuses an artifact whose features the processor does not have.
    unsafe { config.cranelift_flag_enable(feature) };
}
