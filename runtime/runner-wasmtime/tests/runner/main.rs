//! The tests of `wamr-runner`, asked of the runner of compiled modules, and its own.
//!
//! `WASMTIME_RUNNER` names the program under test; without it the one that cargo built is tested.
//!
//! Tier: test

mod engine;
mod hostile_calls;
mod loading;

#[path = "../../../runner/tests/runner/exit.rs"]
mod exit;
#[path = "../../../runner/tests/runner/go.rs"]
mod go;
#[path = "../../../runner/tests/runner/guest.rs"]
mod guest;
#[path = "../../../runner/tests/runner/hostile.rs"]
mod hostile;
#[path = "../../../runner/tests/runner/kernel_files.rs"]
mod kernel_files;
#[path = "../../../runner/tests/runner/limits.rs"]
mod limits;
#[path = "../../../runner/tests/runner/memory.rs"]
mod memory;
#[path = "../../../runner/tests/runner/poll.rs"]
mod poll;
#[path = "../../../runner/tests/runner/preview1.rs"]
mod preview1;
#[path = "../../../runner/tests/runner/proposals.rs"]
mod proposals;
#[path = "../../../runner/tests/runner/signals.rs"]
mod signals;
#[path = "../../../runner/tests/runner/streams.rs"]
mod streams;
#[path = "../../../runner/tests/runner/support.rs"]
mod support;
#[path = "../../../runner/tests/runner/working_directory.rs"]
mod working_directory;
