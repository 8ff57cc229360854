//! `wamr-lab`: reads the command line, calls the library, prints errors once.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use wamr_lab::cli::Cli;
use wamr_lab::command::dispatch;

fn main() -> ExitCode {
    // The node's own processes are this program under another name.
    wamr_node::entry::enter_if_asked();
    // The daemons' own certificates are of their own making, and kube warns of each.
    let usual = || EnvFilter::new("warn,kube_client::client::tls=error");
    let filter = EnvFilter::try_from_env("WAMR_LAB_LOG").unwrap_or_else(|_| usual());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
