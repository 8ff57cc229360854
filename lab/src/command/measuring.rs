//! What runs have in common wherever their nodes live: which cells, the sweep, the end.

use std::path::PathBuf;
use std::process::ExitCode;

use miette::{Result, miette};
use serde_json::{Value, json};
use wamr_record::experiment::Experiment;

use super::Context;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::lab::Lab;
use crate::matrix::{PlannedCell, cell_name, planned_cells};
use crate::releases::Releases;
use crate::run_dir::session::Session;
use crate::sweep::{Stretch, Tally, sweep};

/// How a run ended.
pub enum Outcome {
    /// All cells were run.
    Complete {
        /// Where the run is.
        dir: PathBuf,
        /// What the process should exit with.
        code: ExitCode,
    },
    /// The user stopped it; the node is down.
    Interrupted,
}

impl Outcome {
    /// What the process should exit with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Complete { code, .. } => *code,
            Self::Interrupted => EXIT_INTERRUPTED.into(),
        }
    }
}

/// The cells that are asked for, done or not.
///
/// # Errors
/// There are none.
pub fn chosen_cells(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    releases: &Releases,
) -> Result<Vec<PlannedCell>> {
    let mut cells = planned_cells(experiment, &context.runtimes, releases);
    cells.retain(|cell| session.wants(&cell_name(experiment, cell)));
    if cells.is_empty() {
        return Err(miette!(
            help = "see the cells' names: wamr-lab status DIR, wamr-lab run EXPERIMENT --dry-run",
            "no cell of the experiment is chosen by --only"
        ));
    }
    Ok(cells)
}

/// The cells that the run began with: a resumed one may narrow them, and its environment stays.
pub fn cells_of_run(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    releases: &Releases,
) -> Vec<PlannedCell> {
    let mut cells = planned_cells(experiment, &context.runtimes, releases);
    cells.retain(|cell| {
        let name = cell_name(experiment, cell);
        session.began_with(&name) || session.wants(&name)
    });
    cells
}

/// Ends a run whose nodes have been left, which went as `left` says: writes the manifest, or says
/// how to go on.
///
/// # Errors
/// The cells could not be measured, the nodes not be left, the run not be written.
pub fn conclude(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    swept: Result<Option<Tally>>,
    left: Result<()>,
) -> Result<Outcome> {
    let (run, journal) = (&session.run, &session.journal);
    let Some(tally) = swept.inspect_err(|error| {
        journal.note("broken", None, json!({ "error": format!("{error:?}") }));
    })?
    else {
        journal.note("interrupted", None, Value::Null);
        left?;
        let dir = run.dir().display();
        context.progress.line(&format!("incomplete: {dir}; go on: wamr-lab run --resume {dir}"));
        return Ok(Outcome::Interrupted);
    };
    left?;
    let tally = Tally::of(session.done.values()).plus(tally);
    session.finish(&experiment.title)?;
    anstream::println!("run: {}", run.dir().display());
    Ok(Outcome::Complete { dir: run.dir().to_owned(), code: tally.exit_status().into() })
}

/// Runs the cells of a stretch that are not done yet; `None` if the user stopped it.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_until(
    lab: &Lab<'_>,
    stretch: Stretch<'_>,
    session: &Session,
    interrupt: &Interrupt,
) -> Result<Option<Tally>> {
    tokio::select! {
        tally = sweep(lab, stretch, &session.done) => tally.map(Some),
        () = interrupt.asked() => Ok(None),
    }
}
