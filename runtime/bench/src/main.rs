//! `wamr-bench`: wamr-crun beside crun, runc and youki, in conformance, in speed, and in the speed
//! of what runs in their containers.
//!
//! Runs write raw data; pages are made from committed raw data by commands of their own.

mod arena;
mod cgroups;
mod cli;
mod compute;
mod conformance;
mod peers;
mod privileged;
mod speed;
mod stats;
mod sys;
mod tap;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::dispatch(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("wamr-bench: {error:?}");
            ExitCode::FAILURE
        }
    }
}
