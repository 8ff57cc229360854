//! WAMR, built and configured as in the runner.

use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};

use crate::sys::{Loaded, Running};
use crate::value::Value;
use crate::{Engine, Refusal};

/// What WAMR is built with here. No other module reaches it: its loader alone does not survive all
/// of the malformed ones (a constant expression that ends too early makes it read address 0).
const CLAIMED: WasmFeatures =
    WasmFeatures::WASM2.union(WasmFeatures::TAIL_CALL).union(WasmFeatures::EXTENDED_CONST);

/// WAMR, which is started once per process, and instances that live as long as it.
pub struct Interpreted(());

impl Interpreted {
    /// Starts WAMR in this process.
    ///
    /// # Errors
    /// WAMR says no more than that it failed.
    pub fn new() -> Result<Self, String> {
        crate::sys::start().then_some(Self(())).ok_or_else(|| "WAMR does not start".to_owned())
    }
}

/// Whether all imports can be provided: WAMR as the runner has it links functions of its host only,
/// no memories, tables, globals, and no other modules.
fn can_be_linked(module: &[u8]) -> bool {
    for payload in Parser::new(0).parse_all(module) {
        let Ok(Payload::ImportSection(imports)) = payload else { continue };
        for import in imports.into_imports() {
            let Ok(import) = import else { return true };
            if import.module != "spectest" || !matches!(import.ty, TypeRef::Func(_)) {
                return false;
            }
        }
    }
    true
}

fn load(module: &[u8]) -> Result<Loaded, String> {
    let mut validator = Validator::new_with_features(CLAIMED);
    validator.validate_all(module).map_err(|error| error.to_string())?;
    Loaded::of(module)
}

impl Engine for Interpreted {
    type Instance = Running;

    fn instantiate(&mut self, module: &[u8]) -> Result<Running, Refusal> {
        if !can_be_linked(module) {
            return Err(Refusal::Embedding);
        }
        let loaded = load(module).map_err(Refusal::Module)?;
        loaded.instantiate().map_err(Refusal::Trap)
    }

    fn check(&mut self, module: &[u8]) -> Result<(), String> {
        load(module).map(drop)
    }

    fn call(
        &mut self,
        instance: Running,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, String> {
        instance.call(name, arguments)
    }

    fn global(&mut self, instance: Running, name: &str) -> Option<Value> {
        instance.global(name)
    }

    fn register(&mut self, _name: &str, _instance: Running) -> bool {
        false
    }
}
