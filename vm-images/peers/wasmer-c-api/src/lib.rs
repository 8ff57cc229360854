//! Exports the C interface of wasmer as a shared library.

pub use wasmer_c::*;
