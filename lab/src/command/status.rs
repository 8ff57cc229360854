//! `wamr-lab status`

use std::process::ExitCode;

use miette::Result;
use wamr_record::cell::Verdict;

use super::Context;
use super::dry_run::expected_s;
use crate::cli::StatusArgs;
use crate::experiment;
use crate::matrix::{cell_name, planned_cells};
use crate::releases::Releases;
use crate::run_dir::session::chosen;
use crate::run_dir::unfinished;
use crate::sweep::Tally;

/// Prints how far the run is: a line per cell, what is left, and how to go on.
///
/// # Errors
/// The directory is not that of a run, or cannot be read.
pub fn status(context: &Context, arguments: &StatusArgs) -> Result<ExitCode> {
    let dir = &arguments.run;
    let experiment = experiment::read(&dir.join("experiment.toml"), &context.runtimes)?;
    let done = unfinished::done(dir)?;
    let only = unfinished::begin(dir).unwrap_or_default().only;
    let mut cells = planned_cells(&experiment, &context.runtimes, &Releases::of_image()?);
    cells.retain(|cell| chosen(&only, &cell_name(&experiment, cell)));
    anstream::println!("{}: {} of {} cells", experiment.title, done.len(), cells.len());
    for cell in &cells {
        let id = cell_name(&experiment, cell);
        let cell = done.get(&id);
        let state = match cell.map(|cell| &cell.verdict) {
            None => "to do".to_owned(),
            Some(Verdict::Valid { .. }) => "valid".to_owned(),
            Some(Verdict::Invalid { reasons, .. }) => format!("invalid: {}", reasons.join("; ")),
            Some(Verdict::Failed { reasons }) => format!("failed: {}", reasons.join("; ")),
        };
        let exceeded = cell.map(|cell| cell.exceeded.join("; ")).unwrap_or_default();
        let slow = if exceeded.is_empty() { "" } else { ", too slow: " };
        anstream::println!("  {id}  {state}{slow}{exceeded}");
    }
    if unfinished::is_complete(dir) {
        return Ok(Tally::of(done.values()).exit_status().into());
    }
    cells.retain(|cell| !done.contains_key(&cell_name(&experiment, cell)));
    let minutes = expected_s(&experiment, &cells).div_ceil(60);
    anstream::println!(
        "about {minutes} min are left; if it was broken off: wamr-lab run --resume {}",
        dir.display()
    );
    Ok(ExitCode::SUCCESS)
}
