//! Exports the C interface of wasmtime as a shared library.

pub use wasmtime_c_api::*;
