//! Dispatch, and the one place that prints an error.

use clap::{CommandFactory, Parser};
use std::io::{self, Write};
use std::process::ExitCode;
use wamr_crun::cli::{Cli, Verb};
use wamr_crun::error::{Result, chain};
use wamr_crun::{validate, verb};

/// Every failure of the runtime itself; `run` otherwise ends with the container's status.
const FAILED: u8 = 1;
/// The same for `exec`, as runc has it: not to be taken for a status of the process.
const EXEC_FAILED: u8 = 255;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for is no failure.
            let status = if error.use_stderr() { FAILED } else { 0 };
            drop(error.print());
            return ExitCode::from(status);
        }
    };
    if cli.version {
        return print_version();
    }
    let Some(verb) = &cli.verb else {
        drop(Cli::command().print_help());
        return ExitCode::from(FAILED);
    };
    match dispatch(&cli, verb) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            cli.global.log().error(&chain(&error));
            let exec = matches!(verb, Verb::Exec(_));
            ExitCode::from(if exec { EXEC_FAILED } else { FAILED })
        }
    }
}

fn dispatch(cli: &Cli, verb: &Verb) -> Result<u8> {
    let global = &cli.global;
    match verb {
        Verb::Create(flags) => verb::create::create(global, flags)?,
        Verb::Start { id } => verb::start::start(global, id)?,
        Verb::Run(flags) => return verb::run::run(global, flags).map(|status| status as u8),
        Verb::Exec(flags) => return verb::exec::exec(global, flags).map(|status| status as u8),
        Verb::State { id } => verb::state::state(global, id)?,
        Verb::Kill(flags) => verb::kill::kill(global, flags)?,
        Verb::Delete(flags) => verb::delete::delete(global, flags)?,
        Verb::List(flags) => verb::list::list(global, flags)?,
        Verb::Pause { id } => verb::pause::pause(global, id)?,
        Verb::Resume { id } => verb::resume::resume(global, id)?,
        Verb::Update(flags) => verb::update::update(global, flags)?,
        Verb::Events(flags) => verb::events::events(global, flags)?,
        Verb::Ps(flags) => verb::ps::ps(global, flags)?,
        Verb::Spec(flags) => verb::spec::spec(flags)?,
        Verb::Features => verb::features::features()?,
        Verb::Cache(act) => verb::cache::cache(global, act)?,
    }
    Ok(0)
}

/// containerd reads the lines of `--version` by their keys.
fn print_version() -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("wamr-crun version {version}\nspec: {}\n", validate::SPEC_VERSION);
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}
