//! From an artifact to a guest that runs, and what its end means.

use std::os::fd::OwnedFd;

use wamr_guest::sys::{claim_stack, write_to_stderr};
use wamr_guest::{ExitCode, Failure, stack};
use wasmtime::{
    Engine, Extern, ExternType, Func, ImportType, Instance, Module, Store, Trap, TypedFunc,
    WasmBacktrace,
};

use crate::wasi::{self, Host};

const INSTANTIATE: &str = "instantiate the module";

/// A module with its memory, ready to run.
pub struct Guest {
    store: Store<Host>,
    stack_bytes: usize,
    start: TypedFunc<(), ()>,
}

/// Maps the module and makes its one instance.
///
/// # Errors
/// Wasmtime's reason, a trap of the guest's start function, or that it is no WASI command. A
/// function that nobody provides is only warned about, and traps when it is called.
pub fn instantiate(artifact: OwnedFd, host: Host, stack_bytes: u32) -> Result<Guest, Failure> {
    let stack_bytes = claim_stack(stack_bytes as usize);
    let engine = wamr_engine::runner_config(stack_bytes);
    let engine = Engine::new(&engine).map_err(|error| failure("start Wasmtime", &error))?;
    let module = crate::sys::map_artifact(&engine, artifact.into())
        .map_err(|error| failure("load the compiled module", &error))?;
    // Before the warnings about its imports.
    if module.get_export("_start").is_none() {
        let reason = "it exports no function _start, as a WASI command does";
        return Err(Failure::step(INSTANTIATE, reason));
    }
    let mut store = Store::new(&engine, host);
    store.limiter(|host| &mut host.limits);
    let instance = link_and_instantiate(&mut store, &module, stack_bytes)?;
    let start = instance
        .get_func(&mut store, "_start")
        .ok_or_else(|| Failure::step(INSTANTIATE, "what it exports as _start is no function"))?;
    let start = start.typed(&store).map_err(|error| failure(INSTANTIATE, &error))?;
    store.data_mut().memory = instance.get_memory(&mut store, "memory");
    Ok(Guest { store, stack_bytes, start })
}

fn link_and_instantiate(
    store: &mut Store<Host>,
    module: &Module,
    stack_bytes: usize,
) -> Result<Instance, Failure> {
    let mut imports = Vec::with_capacity(module.imports().len());
    for import in module.imports() {
        imports.push(provide(store, &import)?);
    }
    Instance::new(store, module, &imports).map_err(|error| {
        if error.is::<WasmBacktrace>() {
            return Failure::Trapped(trap_text(&error, stack_bytes));
        }
        failure(INSTANTIATE, &error)
    })
}

fn provide(store: &mut Store<Host>, import: &ImportType) -> Result<Extern, Failure> {
    let (module, name) = (import.module(), import.name());
    let ExternType::Func(ty) = import.ty() else {
        let act = format!("link the import ({module}, {name})");
        return Err(Failure::step(act, "this runtime provides functions only"));
    };
    if module == wasi::MODULE
        && let Some(function) = wasi::function(store, name)
    {
        return Ok(function.into());
    }
    let what = format!("import function ({module}, {name})");
    write_to_stderr(format!("warning: failed to link {what}\n").as_bytes());
    let call =
        move |_: wasmtime::Caller<'_, Host>, _: &[wasmtime::Val], _: &mut [wasmtime::Val]| {
            Err(wasmtime::Error::msg(format!("failed to call unlinked {what}")))
        };
    Ok(Func::new(store, ty, call).into())
}

fn failure(act: &str, error: &wasmtime::Error) -> Failure {
    let texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    Failure::step(act, texts.join(": "))
}

impl Guest {
    /// Runs `_start` to its end.
    pub fn execute(mut self) -> ExitCode {
        match self.start.call(&mut self.store, ()) {
            Ok(()) => ExitCode::of_guest(0),
            Err(error) => Failure::Trapped(trap_text(&error, self.stack_bytes)).report(crate::NAME),
        }
    }
}

/// The reason in one line, then the guest's functions, the innermost first.
fn trap_text(error: &wasmtime::Error, stack_bytes: usize) -> String {
    let mut text = error.root_cause().to_string();
    if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        text = stack::overflow_text(&text, stack_bytes);
    }
    let trace = error.downcast_ref::<WasmBacktrace>();
    for frame in trace.map_or(&[][..], WasmBacktrace::frames) {
        let (name, index) = (frame.func_name(), frame.func_index());
        text.push_str(&stack::frame_line(name, index, frame.module_offset()));
    }
    text
}
