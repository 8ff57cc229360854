//! The C entry point, and the one call of Wasmtime that trusts its input.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::fs::File;

use wamr_guest::sys::{exit_now, first_argument};
use wasmtime::{Engine, Module, Result};

/// The C library's entry. Rust's own would read /proc, map a signal stack and allocate; in a unit
/// test it has to be there all the same.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, unsafe(export_name = "runner_main"))]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the C library passes `count` pointers to NUL-terminated strings, which live as long
    // as the process.
    let argument = unsafe { first_argument(count, arguments) };
    exit_now(crate::run(argument))
}

/// Maps what `wamr-compile` wrote.
///
/// # Errors
/// Wasmtime's: it is no artifact, or one of another version or configuration.
pub fn map_artifact(engine: &Engine, artifact: File) -> Result<Module> {
    // SAFETY: `wamr-crun` hands over an entry of the node's own cache, which only its compiler
    // fills, whose digest was compared, and which nobody in a container can write: the descriptor
    // is of a read-only mount or a sealed copy. Nothing of an image ever gets here.
    unsafe { Module::deserialize_open_file(engine, artifact) }
}
