//! `wamr-lab`: boots a node, sweeps pods over it, records what they cost.

mod attribution;
mod cell;
mod clock;
mod cluster;
mod command;
mod cri;
mod doctor;
mod environment;
mod evidence;
mod experiment;
mod gates;
mod host;
mod interrupt;
mod kubernetes_event;
mod lab;
mod machine;
mod matrix;
mod node_view;
mod observer;
mod place;
mod pod_maker;
mod processes;
mod report;
mod run_dir;
mod sample;
mod settle;
mod smaps;
mod sweep;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use wamr_lab::cli;

use crate::cli::Cli;

fn main() -> ExitCode {
    // The node's own processes are this program under another name.
    wamr_node::init::enter_if_asked();
    let filter = EnvFilter::try_from_env("WAMR_LAB_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match command::dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
