//! The built runner as a process: a plan in a memfd, a module in a file, what comes out.
//!
//! `WAMR_RUNNER` names the program under test; without it the one that cargo built is tested. The
//! modules that ask nothing of WAMR are tests of `wasmtime-runner` too.
//!
//! Tier: test

mod engine;
mod exit;
mod go;
mod guest;
mod hostile;
mod hostile_modules;
mod kernel_files;
mod limits;
mod loading;
mod memory;
mod poll;
mod preview1;
mod proposals;
mod signals;
mod sockets;
mod streams;
mod support;
mod working_directory;
