//! `wamr-lab demo`

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use super::run::{Outcome, measure};
use super::{Context, require_root};
use crate::cli::DemoArgs;
use crate::experiment;
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
    match write_report(context, &dir) {
        Ok(report) => anstream::println!("report: {}", report.display()),
        Err(error) => {
            // The measurement is complete and stays of use.
            anstream::eprintln!("{error:?}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(code)
}

/// Runs the `wamr-report` of the same build; returns where the report is.
fn write_report(context: &Context, run_dir: &Path) -> Result<PathBuf> {
    let step = context.progress.step("report");
    let program = context.programs_dir.join("wamr-report");
    let again = format!("{} build {}", program.display(), run_dir.display());
    let output = Command::new(&program)
        .arg("build")
        .arg(run_dir)
        .output()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {again}"))?;
    if !output.status.success() {
        step.failed("wamr-report failed");
        return Err(miette!(
            help = format!("the run itself is complete; try again: {again}"),
            "{again}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    step.done("written");
    Ok(run_dir.join("report/index.html"))
}
