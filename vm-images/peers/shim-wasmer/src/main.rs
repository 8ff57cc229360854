//! `containerd-shim-wasmer-v1`: runwasi's shim library with wasmer.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use containerd_shim_wasm::sandbox::Sandbox;
use containerd_shim_wasm::sandbox::context::RuntimeContext;
use containerd_shim_wasm::shim::{Cli as _, Shim, Version, version};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use wasmer::{Engine, Module, Store};
use wasmer_wasix::runtime::task_manager::tokio::TokioTaskManager;
use wasmer_wasix::{PluggableRuntime, WasiEnv, WasiError};

/// What a shell reports of a process that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

struct Wasmer;

#[derive(Default)]
struct Guest;

impl Shim for Wasmer {
    type Sandbox = Guest;

    fn name() -> &'static str {
        "wasmer"
    }

    fn version() -> Version {
        version!()
    }
}

impl Sandbox for Guest {
    async fn run_wasi(&self, context: &impl RuntimeContext) -> Result<i32> {
        let entrypoint = context.entrypoint();
        let bytes = entrypoint.source.as_bytes()?.into_owned();
        let (args, envs) = (context.args().to_vec(), context.envs().to_vec());
        let mut terminate = signal(SignalKind::terminate())?;
        // wasmer blocks the thread that it runs a guest on.
        let guest = tokio::task::spawn_blocking(move || run(&bytes, &entrypoint.func, args, &envs));
        tokio::select! {
            exit_code = guest => exit_code?,
            _ = terminate.recv() => std::process::exit(TERMINATED),
        }
    }
}

fn run(bytes: &[u8], function: &str, args: Vec<String>, envs: &[String]) -> Result<i32> {
    let engine = Engine::default();
    let module = Module::new(&engine, bytes)?;
    let mut store = Store::new(engine.clone());
    let tasks = Arc::new(TokioTaskManager::new(Handle::current()));
    let mut runtime = PluggableRuntime::new(tasks);
    runtime.set_engine(engine);
    let mut args = args.into_iter();
    let builder = WasiEnv::builder(args.next().unwrap_or_default())
        .args(args)
        .envs(envs.iter().map(|variable| variable.split_once('=').unwrap_or((variable, ""))))
        .runtime(Arc::new(runtime))
        .preopen_dir("/")?;
    let (instance, environment) = builder.instantiate(module, &mut store)?;
    let start = instance
        .exports
        .get_function(function)
        .with_context(|| format!("the module exports no {function}"))?;
    let returned = start.call(&mut store, &[]);
    environment.on_exit(&mut store, None);
    match returned {
        Ok(_) => Ok(0),
        Err(error) => match error.downcast_ref::<WasiError>() {
            Some(WasiError::Exit(code)) => Ok(code.raw()),
            _ => Err(error.into()),
        },
    }
}

fn main() {
    Wasmer::run(None);
}
