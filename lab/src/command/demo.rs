//! `wamr-lab demo`

use std::path::Path;
use std::process::ExitCode;

use miette::Result;

use super::local_run::measure;
use super::measuring::Outcome;
use super::{Context, require_root};
use crate::cli::DemoArgs;
use crate::experiment;
use crate::report;
use crate::run_dir::session::{Session, default_dir};

/// Measures the built-in experiment and has the report written.
///
/// # Errors
/// As the run, or the report, fails.
pub fn demo(context: &Context, arguments: DemoArgs) -> Result<ExitCode> {
    require_root("demo")?;
    let experiment = experiment::read(Path::new("demo"), &context.runtimes)?;
    let dir = arguments.out.unwrap_or_else(|| default_dir("demo"));
    let session = Session::begin(&experiment, &dir, Vec::new())?;
    let outcome = measure(context, &experiment, &session, None)?;
    let Outcome::Complete { dir, code, .. } = outcome else { return Ok(outcome.exit_code()) };
    report::show_summary(&context.programs_dir, &dir);
    let step = context.progress.step("report");
    match report::build(&context.programs_dir, &dir) {
        Ok(page) => {
            step.done("written");
            anstream::println!("report: {}", page.display());
        }
        Err(error) => {
            step.failed("not written");
            // The measurement is complete and stays of use.
            anstream::eprintln!("{error:?}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(code)
}
