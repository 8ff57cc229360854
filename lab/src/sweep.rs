//! All cells of a run, one after the other.

use std::collections::BTreeSet;

use miette::Result;
use serde_json::json;
use wamr_record::cell::{Fault, Verdict};
use wamr_record::experiment::{Experiment, Series};

use crate::cell::level::baseline;
use crate::cell::protocol::measure;
use crate::cell::ramp::ramp;
use crate::cell::removal::remove;
use crate::lab::Lab;
use crate::matrix::{PlannedCell, cell_name};
use crate::run_dir::unfinished::{Done, Judged};

/// Exit status of a complete run with cells that may not be used.
const EXIT_NOT_ALL_VALID: u8 = 3;
/// Exit status of a complete run whose only defect is what else the machine did.
const EXIT_DISTURBED: u8 = 4;
/// Exit status of a complete run in which pods exceeded a threshold of the experiment.
const EXIT_EXCEEDED: u8 = 5;

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
    /// Of the usable ones those whose pods exceeded a threshold.
    pub exceeded: u32,
}

impl Tally {
    /// What a complete run exits with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self { invalid: 1.., .. } | Self { failed: 1.., .. } => EXIT_NOT_ALL_VALID,
            Self { exceeded: 1.., .. } => EXIT_EXCEEDED,
            Self { disturbed: 1.., .. } => EXIT_DISTURBED,
            _ => 0,
        }
    }

    /// The tally of some cells.
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut tally = Self::default();
        for cell in cells {
            tally.count(cell);
        }
        tally
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            valid: self.valid + other.valid,
            disturbed: self.disturbed + other.disturbed,
            invalid: self.invalid + other.invalid,
            failed: self.failed + other.failed,
            exceeded: self.exceeded + other.exceeded,
        }
    }

    fn count(&mut self, cell: &Judged) {
        match &cell.verdict {
            Verdict::Valid { .. } => {
                self.valid += 1;
                self.exceeded += u32::from(!cell.exceeded.is_empty());
            }
            Verdict::Invalid { fault: Fault::Machine, .. } => self.disturbed += 1,
            Verdict::Invalid { fault: Fault::Cell, .. } => self.invalid += 1,
            Verdict::Failed { .. } => self.failed += 1,
        }
    }
}

/// Cells that follow each other on one node.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// All of them, done or not.
    pub cells: &'a [PlannedCell],
    /// Number of the run's last cell.
    pub last_number: u32,
}

impl<'a> Stretch<'a> {
    /// The stretches of `cells`: each release of containerd has a node of its own.
    pub fn all(cells: &'a [PlannedCell]) -> impl Iterator<Item = Self> {
        let last_number = cells.iter().map(|cell| cell.order + 1).max().unwrap_or(0);
        cells
            .chunk_by(|one, other| one.containerd == other.containerd)
            .map(move |cells| Self { cells, last_number })
    }

    /// The cells that are not done.
    pub fn left(&self, experiment: &Experiment, done: &Done) -> Vec<&'a PlannedCell> {
        let is_done = |cell: &PlannedCell| done.contains_key(&cell_name(experiment, cell));
        self.cells.iter().filter(|cell| !is_done(cell)).collect()
    }

    /// Indices of its series.
    fn series(&self) -> BTreeSet<usize> {
        self.cells.iter().map(|cell| cell.series).collect()
    }
}

/// Runs the cells that are not `done` yet, and counts them.
///
/// # Errors
/// The node cannot be used any more. A cell that fails is counted, not an error.
pub async fn sweep(lab: &Lab<'_>, stretch: Stretch<'_>, done: &Done) -> Result<Tally> {
    let mut tally = Tally::default();
    let left = stretch.left(lab.experiment, done);
    let most_pods = left.iter().map(|cell| cell.pods).max().unwrap_or(0);
    if left.is_empty() {
        // Broken off between the last cell and the manifest.
        return Ok(tally);
    }
    lab.cluster.prepare().await?;
    warm_up(lab, &stretch.series(), most_pods).await?;
    let step = lab.progress.step("baseline: memory settles without pods");
    let mut before = baseline(lab, most_pods).await?;
    step.done(if before.waited.settled { "level" } else { "not level" });
    for cell in left {
        let series = &lab.experiment.series[cell.series];
        let number = cell.order + 1;
        let title = format!(
            "cell {number}/{}: {} × {} {}{}",
            stretch.last_number,
            cell.pods,
            series.runtime,
            series.workload,
            series.arrival.map_or_else(String::new, |rate| format!(" at {rate}"))
        );
        let step = lab.progress.step(&title);
        let measured = match measure(lab, cell, &before, &step).await {
            Ok(measured) => measured,
            Err(error) => {
                step.failed("the node cannot be used any more");
                return Err(error);
            }
        };
        tally.count(&measured.judged);
        let exceeded = &measured.judged.exceeded;
        match &measured.judged.verdict {
            Verdict::Valid { .. } if !exceeded.is_empty() => {
                step.failed(&format!("valid, but too slow: {}", exceeded.join("; ")));
            }
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
async fn warm_up(lab: &Lab<'_>, indices: &BTreeSet<usize>, most_pods: u32) -> Result<()> {
    let Experiment { series, timing, .. } = lab.experiment;
    let series: Vec<(usize, &Series)> =
        series.iter().enumerate().filter(|(index, _)| indices.contains(index)).collect();
    let batches = timing.warm_up_batches;
    let step = lab.progress.counted("warm-up", series.len() as u64 + u64::from(batches));
    let (mut sound, mut failed) = (None, 0);
    for (index, series) in series {
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
fn a_stretch_ends_where_the_release_changes() {
    let cell = |order, release: &str| PlannedCell {
        order,
        repetition: 1,
        series: order as usize,
        containerd: release.parse().ok(),
        pods: 1,
    };
    let cells = [cell(0, "2.3"), cell(1, "2.3"), cell(4, "2.2"), cell(5, "2.3")];
    let stretches: Vec<Vec<u32>> = Stretch::all(&cells)
        .map(|stretch| stretch.cells.iter().map(|cell| cell.order).collect())
        .collect();
    assert_eq!(stretches, [vec![0, 1], vec![4], vec![5]]);
    assert!(Stretch::all(&cells).all(|stretch| stretch.last_number == 6));
    assert_eq!(Stretch::all(&[]).count(), 0);
    let series = Stretch::all(&cells).next().unwrap().series();
    assert_eq!(series.into_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn only_a_disturbed_run_blames_the_machine() {
    let cell = |verdict| Judged { verdict, exceeded: vec![] };
    let valid = cell(Verdict::Valid { notes: vec![] });
    let slow = Judged { exceeded: vec!["started p99".to_owned()], ..valid.clone() };
    let invalid = |fault| cell(Verdict::Invalid { reasons: vec!["a gate".to_owned()], fault });
    let (busy, other) = (invalid(Fault::Machine), invalid(Fault::Cell));
    let slow_and_busy = Judged { exceeded: slow.exceeded.clone(), ..busy.clone() };
    let failed = cell(Verdict::Failed { reasons: vec![] });
    let table: [(&str, &[&Judged], u8); 8] = [
        ("nothing wrong", &[&valid], 0),
        ("busy", &[&valid, &busy], 4),
        ("another gate", &[&busy, &other], 3),
        ("pods did not start", &[&busy, &failed], 3),
        ("no cell", &[], 0),
        ("too slow", &[&valid, &slow, &busy], 5),
        ("too slow where the machine was busy", &[&valid, &slow_and_busy], 4),
        ("too slow and another gate", &[&slow, &other], 3),
    ];
    for (case, cells, status) in table {
        assert_eq!(Tally::of(cells.iter().copied()).exit_status(), status, "{case}");
    }
}
