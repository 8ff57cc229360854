//! All cells of a run, one after the other.

use miette::Result;
use serde_json::json;
use wamr_record::cell::{Fault, Verdict};
use wamr_record::experiment::{Experiment, Series};

use crate::cell::level::baseline;
use crate::cell::protocol::measure;
use crate::cell::ramp::ramp;
use crate::cell::removal::remove;
use crate::lab::Lab;
use crate::matrix::{self, PlannedCell, cell_id};
use crate::run_dir::unfinished::Done;

/// Exit status of a complete run with cells that may not be used.
const EXIT_NOT_ALL_VALID: u8 = 3;
/// Exit status of a complete run whose only defect is what else the machine did.
const EXIT_DISTURBED: u8 = 4;

/// How many cells came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Usable.
    pub valid: u32,
    /// Measured, but only the machine was too busy.
    pub disturbed: u32,
    /// Measured, but another gate failed.
    pub invalid: u32,
    /// Pods did not start.
    pub failed: u32,
}

impl Tally {
    /// What a complete run exits with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self { invalid: 0, failed: 0, disturbed: 0, .. } => 0,
            Self { invalid: 0, failed: 0, .. } => EXIT_DISTURBED,
            _ => EXIT_NOT_ALL_VALID,
        }
    }

    /// The tally of some verdicts.
    pub fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut tally = Self::default();
        for verdict in verdicts {
            tally.count(verdict);
        }
        tally
    }

    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Valid { .. } => self.valid += 1,
            Verdict::Invalid { fault: Fault::Machine, .. } => self.disturbed += 1,
            Verdict::Invalid { fault: Fault::Cell, .. } => self.invalid += 1,
            Verdict::Failed { .. } => self.failed += 1,
        }
    }
}

/// The cells of an experiment in their order.
pub fn planned_cells(experiment: &Experiment) -> Vec<PlannedCell> {
    let Experiment { series, densities, repetitions, seed, .. } = experiment;
    matrix::plan(series.len(), densities, *repetitions, *seed)
}

/// The directory name of a cell of `experiment`.
pub fn cell_name(experiment: &Experiment, cell: &PlannedCell) -> String {
    let series = &experiment.series[cell.series];
    cell_id(cell, &series.runtime, &series.workload)
}

/// Runs the cells that are not `done` yet, and counts all.
///
/// # Errors
/// The node cannot be used any more. A cell that fails is counted, not an error.
pub async fn sweep(lab: &Lab<'_>, cells: &[PlannedCell], done: &Done) -> Result<Tally> {
    let mut tally = Tally::of(done.values());
    let left: Vec<&PlannedCell> =
        cells.iter().filter(|cell| !done.contains_key(&cell_name(lab.experiment, cell))).collect();
    let most_pods = left.iter().map(|cell| cell.pods).max().unwrap_or(0);
    if left.is_empty() {
        // Broken off between the last cell and the manifest.
        return Ok(tally);
    }
    lab.cluster.prepare().await?;
    warm_up(lab, most_pods).await?;
    let step = lab.progress.step("baseline: memory settles without pods");
    let mut before = baseline(lab, most_pods).await?;
    step.done(if before.waited.settled { "level" } else { "not level" });
    for cell in left {
        let series = &lab.experiment.series[cell.series];
        let number = cell.order + 1;
        let title = format!(
            "cell {number}/{}: {} × {} {}",
            cells.iter().map(|cell| cell.order + 1).max().unwrap_or(number),
            cell.pods,
            series.runtime,
            series.workload
        );
        let step = lab.progress.step(&title);
        let measured = match measure(lab, cell, &before, &step).await {
            Ok(measured) => measured,
            Err(error) => {
                step.failed("the node cannot be used any more");
                return Err(error);
            }
        };
        tally.count(&measured.verdict);
        match &measured.verdict {
            Verdict::Valid { notes } if notes.is_empty() => step.done("valid"),
            Verdict::Valid { notes } => step.done(&format!("valid ({})", notes.join("; "))),
            Verdict::Invalid { reasons, .. } => {
                step.failed(&format!("invalid: {}", reasons.join("; ")));
            }
            Verdict::Failed { reasons } => step.failed(&reasons.join("; ")),
        }
        before = measured.after;
    }
    Ok(tally)
}

/// Pods of a warm-up that lets the daemons' heaps grow; more would cost more than it tells.
pub const WARM_UP_PODS_MAX: u32 = 20;

/// One pod of each series, started and deleted: images are unpacked and programs have run once
/// before anything is measured. Then batches as large as a cell's: the daemons' heaps grow with the
/// first ones they see, which else would be charged to the first cell. A series that fails here
/// will say so in its own cell.
async fn warm_up(lab: &Lab<'_>, most_pods: u32) -> Result<()> {
    let Experiment { series, timing, .. } = lab.experiment;
    let batches = timing.warm_up_batches;
    let step = lab.progress.counted("warm-up", series.len() as u64 + u64::from(batches));
    let (mut sound, mut failed) = (None, 0);
    for (index, series) in series.iter().enumerate() {
        step.set(&series.runtime);
        if start_and_delete(lab, &format!("warm-up-{index}"), series, 1).await? {
            sound = Some(series);
        } else {
            failed += 1;
        }
        step.advance(1);
    }
    if let Some(series) = sound {
        let pods = most_pods.min(WARM_UP_PODS_MAX);
        step.set(&format!("{pods} pods at once"));
        for batch in 1..=batches {
            start_and_delete(lab, &format!("warm-up-many-{batch}"), series, pods).await?;
            step.advance(1);
        }
    }
    match failed {
        0 => step.done("images unpacked, every program has run"),
        _ => step.done(&format!("{failed} series did not start; their cells will say why")),
    }
    Ok(())
}

/// True if all pods of the batch started.
async fn start_and_delete(lab: &Lab<'_>, name: &str, series: &Series, pods: u32) -> Result<bool> {
    let batch = lab.batch(name.to_owned(), series, pods)?;
    let before = lab.observers.pod_processes().await?;
    let watch = lab.cluster.watch(&batch.name);
    let ramp = ramp(lab, &batch, &watch).await?;
    drop(watch);
    let left = remove(lab, &batch.name, &before).await?;
    let detail = json!({ "batch": batch.name, "failures": ramp.failures, "left": left });
    lab.journal.note("warm-up", None, detail);
    Ok(ramp.failures.is_empty())
}

#[test]
fn only_a_disturbed_run_blames_the_machine() {
    let valid = Verdict::Valid { notes: vec![] };
    let invalid = |fault| Verdict::Invalid { reasons: vec!["a gate".to_owned()], fault };
    let (busy, other) = (invalid(Fault::Machine), invalid(Fault::Cell));
    let failed = Verdict::Failed { reasons: vec![] };
    let table: [(&str, &[&Verdict], u8); 5] = [
        ("nothing wrong", &[&valid], 0),
        ("busy", &[&valid, &busy], 4),
        ("another gate", &[&busy, &other], 3),
        ("pods did not start", &[&busy, &failed], 3),
        ("no cell", &[], 0),
    ];
    for (case, verdicts, status) in table {
        assert_eq!(Tally::of(verdicts.iter().copied()).exit_status(), status, "{case}");
    }
}
