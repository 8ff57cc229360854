//! `wamr-bench`: wamr-crun beside crun, runc and youki, in conformance and in speed.
//!
//! Runs write raw data; pages are made from committed raw data by commands of their own.

mod arena;
mod cgroups;
mod cli;
mod conformance;
mod peers;
mod privileged;
mod speed;
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
