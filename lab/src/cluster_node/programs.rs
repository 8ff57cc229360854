//! What is installed on a node of a cluster, and the handlers that call it.

/// The handler of containerd's own shim, and the runtime that it calls.
pub const HANDLER: &str = "wamr-crun";
/// The handler of the shim for many pods.
pub const SHIM_HANDLER: &str = "wamr";
/// Handlers, and RuntimeClasses of the same names.
pub const HANDLERS: [&str; 2] = [HANDLER, SHIM_HANDLER];
/// What is installed.
pub const PROGRAMS: [&str; 5] =
    [HANDLER, "wamr-runner", "wasmtime-runner", "wamr-compile", "containerd-shim-wamr-crun-v1"];
