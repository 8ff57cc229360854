//! `containerd-shim-wasmtime-v1`: runwasi's shim library with wasmtime.

use anyhow::{Context as _, Result};
use containerd_shim_wasm::sandbox::Sandbox;
use containerd_shim_wasm::sandbox::context::RuntimeContext;
use containerd_shim_wasm::shim::{Cli as _, Shim, Version, version};
use tokio::signal::unix::{SignalKind, signal};
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::preview1::{self, WasiP1Ctx};
use wasmtime_wasi::{DirPerms, FilePerms, I32Exit, WasiCtxBuilder};

/// What a shell reports of a process that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

struct Wasmtime;

#[derive(Default)]
struct Guest;

impl Shim for Wasmtime {
    type Sandbox = Guest;

    fn name() -> &'static str {
        "wasmtime"
    }

    fn version() -> Version {
        version!()
    }
}

impl Sandbox for Guest {
    async fn run_wasi(&self, context: &impl RuntimeContext) -> Result<i32> {
        let mut config = Config::new();
        config.async_support(true);
        // Compiled code is not kept: a container compiles its module once and ends.
        let engine = Engine::new(&config)?;
        let entrypoint = context.entrypoint();
        let module = Module::from_binary(&engine, &entrypoint.source.as_bytes()?)?;
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
        preview1::add_to_linker_async(&mut linker, |wasi| wasi)?;
        let mut store = Store::new(&engine, wasi(context)?);
        let instance = linker.instantiate_async(&mut store, &module).await?;
        let start = instance
            .get_typed_func::<(), ()>(&mut store, &entrypoint.func)
            .with_context(|| format!("the module exports no {}", entrypoint.func))?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            returned = start.call_async(&mut store, ()) => exit_code(returned),
            _ = terminate.recv() => Ok(TERMINATED),
        }
    }
}

fn wasi(context: &impl RuntimeContext) -> Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    builder.args(context.args()).inherit_stdio().inherit_network();
    for variable in context.envs() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        builder.env(name, value);
    }
    builder.preopened_dir("/", "/", DirPerms::all(), FilePerms::all())?;
    Ok(builder.build_p1())
}

fn exit_code(returned: Result<()>) -> Result<i32> {
    match returned {
        Ok(()) => Ok(0),
        Err(error) => error.downcast::<I32Exit>().map(|exit| exit.0),
    }
}

fn main() {
    Wasmtime::run(None);
}
