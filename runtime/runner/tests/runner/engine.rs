//! What these tests have to know of the runner with WAMR's interpreter.

/// The program that cargo built, and the variable that names another one.
pub const BUILT: &str = env!("CARGO_BIN_EXE_wamr-runner");
pub const VARIABLE: &str = "WAMR_RUNNER";
/// Its name in messages.
pub const NAME: &str = "wamr-runner";
/// What it says of a guest that calls too deep.
pub const STACK_OVERFLOW: &str = "stack overflow";
/// What docs/memory.md promises of an idle container, with room for other C libraries.
pub const MOST_PRIVATE_KB: u64 = 210;

/// Its column in docs/proposals.md.
pub const COLUMN: &str = "interpreted";

/// What the runner is given for a module, whether it can run it or not.
pub fn try_prepare(module: &[u8]) -> Option<Vec<u8>> {
    (!module.is_empty()).then(|| prepare(module))
}

/// What the runner is given for a module: itself.
pub fn prepare(module: &[u8]) -> Vec<u8> {
    module.to_vec()
}
