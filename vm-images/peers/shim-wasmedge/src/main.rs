//! `containerd-shim-wasmedge-v1`: runwasi's shim library with the WasmEdge library of the node.

mod sys;

use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use containerd_shim_wasm::sandbox::Sandbox;
use containerd_shim_wasm::sandbox::context::RuntimeContext;
use containerd_shim_wasm::shim::{Cli as _, Shim, Version, version};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports of a process that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

/// Loaded before anything is forked: a container's root has no libraries.
static ENGINE: OnceLock<sys::WasmEdge> = OnceLock::new();

struct WasmEdge;

#[derive(Default)]
struct Guest;

impl Shim for WasmEdge {
    type Sandbox = Guest;

    fn name() -> &'static str {
        "wasmedge"
    }

    fn version() -> Version {
        version!()
    }
}

impl Sandbox for Guest {
    async fn run_wasi(&self, context: &impl RuntimeContext) -> Result<i32> {
        let engine = ENGINE.get().context("WasmEdge is loaded when the program starts")?;
        let entrypoint = context.entrypoint();
        let module = entrypoint.source.as_bytes()?.into_owned();
        let (args, envs) = (context.args().to_vec(), context.envs().to_vec());
        let function = entrypoint.func;
        let mut terminate = signal(SignalKind::terminate())?;
        // WasmEdge blocks the thread that it runs a guest on.
        let run = move || engine.run(&module, &function, &args, &envs);
        tokio::select! {
            exit_code = tokio::task::spawn_blocking(run) => exit_code?,
            _ = terminate.recv() => std::process::exit(TERMINATED),
        }
    }
}

fn main() -> Result<()> {
    let engine = sys::WasmEdge::open()?;
    ENGINE.get_or_init(|| engine);
    WasmEdge::run(None);
    Ok(())
}
