//! `wamr-runner`: the small static process in which a Wasm container runs.
//!
//! `wamr-crun` execs it as the container's process, with everything that confines the container
//! already in force, and hands it a plan (crate `wamr-plan`) and the open module. What this
//! process allocates stays for as long as the container lives and is paid once per container.
//! So it keeps nothing that WAMR does not need, and gives back what was needed to get there.
//!
//! The steps, in order, are in [`run`].
#![cfg_attr(not(test), no_main)]

mod binary;
mod sys;
mod wamr;
mod wasi;

use std::ffi::CStr;

use wamr_guest::sys::HeapStart;
use wamr_guest::{ExitCode, Failure, handover, memory, signals, stdio};

/// The program's name in its messages.
pub const NAME: &str = "wamr-runner";

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
    let instance = {
        let plan = plan.parse()?;
        let module_bytes = handover::map_module(plan.module_fd)?;
        // The two descriptors are closed by now, so that what opens next cannot be them.
        stdio::fill_gaps()?;
        signals::name_process(plan.args().next());
        wamr::start()?;
        let module = wamr::load(module_bytes)?;
        let wasi = wasi::Strings::new(&plan)?;
        wamr::instantiate(&module, &wasi, &wamr::Limits::of(&plan))?
    };
    drop(plan);
    memory::give_back(heap);
    Ok(wamr::execute(&instance).report())
}
