//! `wasmtime-runner`: the small static process in which a compiled Wasm container runs.
//!
//! As `wamr-runner`, it is exec'd by `wamr-crun` as the container's process with a plan. The
//! descriptor of that plan holds no module but what `wamr-compile` has made of it: native code,
//! which is mapped from the file and shared by all containers of the module, and data, which is
//! copied page by page where it is written. There is no compiler in this program.
//!
//! The steps, in order, are in [`run`].
#![cfg_attr(not(test), no_main)]

mod engine;
mod sys;
mod wasi;

use std::ffi::CStr;

use wamr_guest::sys::HeapStart;
use wamr_guest::{ExitCode, Failure, handover, memory, signals, stdio};

/// The program's name in its messages.
pub const NAME: &str = "wasmtime-runner";

/// Runs the module of the plan that `argument` names, and says what the process exits with.
fn run(argument: Option<&CStr>) -> ExitCode {
    match prepare_and_execute(argument) {
        Ok(code) => code,
        Err(failure) => failure.report(NAME),
    }
}

fn prepare_and_execute(argument: Option<&CStr>) -> Result<ExitCode, Failure> {
    // Before anything can take long: a container must stop when it is told to.
    let heap = HeapStart::find();
    signals::install();
    memory::forgo_huge_pages();
    let plan = handover::read_plan(argument)?;
    let guest = {
        let plan = plan.parse()?;
        let artifact = handover::take_module(plan.module_fd)?;
        stdio::fill_gaps()?;
        signals::name_process(plan.args().next());
        let host = wasi::Host::new(&plan)?;
        engine::instantiate(artifact, host, plan.stack_bytes)?
    };
    drop(plan);
    memory::give_back(heap);
    Ok(guest.execute())
}
