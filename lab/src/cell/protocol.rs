//! Runs one cell from its first baseline to its last.

use miette::Result;
use serde_json::json;
use wamr_image::WorkloadImage;
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_progress::Step;
use wamr_record::account::Account;
use wamr_record::cell::{Cell, NO_CONTAINER, PhaseName, ProcessMemory};
use wamr_record::sample::{Meminfo, Reading, Sample};

use super::level::{
    Baseline, baseline, kubelet_samples, pod_cgroup_samples, wait_level, walk_sample,
};
use super::life::{Alive, Life};
use super::plateau::plateau;
use super::ramp::{self, Ramp};
use super::record::{self, foreign_median, meminfo_median, node_median, phase, phases};
use super::{events, failure, removal};
use crate::clock::now_ns;
use crate::cluster::kubernetes::PodWatch;
use crate::cluster::manifest::Batch;
use crate::gates::{Facts, judge};
use crate::lab::Lab;
use crate::matrix::{PlannedCell, cell_name};
use crate::run_dir::unfinished::Judged;

/// What a cell came to.
#[derive(Debug)]
pub struct Measured {
    /// Whether it may be used, and what was too slow.
    pub judged: Judged,
    /// Level memory after it, for the next cell.
    pub after: Baseline,
}

/// What is measured, by name.
struct Subject<'a> {
    id: String,
    runtime: &'a RuntimeUnderTest,
    image: &'a WorkloadImage,
}

/// Measures a cell. `before` is the level memory that the cell begins with.
///
/// # Errors
/// The node cannot be read any more, or the run directory not be written. Pods that do not start
/// make a cell with the verdict Failed.
pub async fn measure(
    lab: &Lab<'_>,
    planned: &PlannedCell,
    before: &Baseline,
    step: &Step,
) -> Result<Measured> {
    let series = &lab.experiment.series[planned.series];
    let (runtime, image) = lab.series(series)?;
    let id = cell_name(lab.experiment, planned);
    let subject = Subject { id, runtime, image };
    let id = subject.id.as_str();
    let name = format!("cell-{:04}", planned.order);
    let batch = Batch { arrival: series.arrival, ..lab.batch(name, series, planned.pods)? };
    lab.journal.note("cell-begin", Some(id), json!({ "batch": batch.name }));
    let processes_before = lab.observers.pod_processes().await?;
    let walk_before = walk_sample(lab, PhaseName::Before, 0).await?;
    let mut attribution = lab.observers.walk(PhaseName::Before, &[]).await?;

    let watch = lab.cluster.watch(&batch.name);
    step.set("pods start");
    let ramped = ramp::ramp(lab, &batch, &watch).await?;
    let mut life = live(lab, &subject, walk_before, ramped, &watch, step).await?;
    if !life.failures.is_empty() {
        step.set("collecting why pods failed");
        let warnings = failure::collect(lab, id, &batch.name).await;
        life.failures.extend(warnings);
    }
    drop(watch);

    step.set("pods go");
    let delete_begin_ns = now_ns();
    let leftover = removal::remove(lab, &batch.name, &processes_before).await?;
    let delete = phase(PhaseName::Delete, (delete_begin_ns, now_ns()));
    lab.journal.note("pods-gone", Some(id), json!({ "left": leftover }));
    let kept = events::keep(lab, id, &batch.name).await?;
    events::stamp(&mut life.ramp.pods, &kept);
    step.set("memory settles without the pods");
    let after = baseline(lab, planned.pods).await?;

    attribution.extend(life.alive.iter().flat_map(|alive| alive.attribution.iter().cloned()));
    let mut facts = facts(lab, planned, &subject, &life, (before, &after), leftover);
    facts.unexplained = unexplained(&life, &attribution);
    let verdict = judge(&facts);
    let thresholds = lab.experiment.thresholds.iter();
    let exceeded: Vec<String> =
        thresholds.filter_map(|threshold| threshold.exceeded(&life.ramp.pods)).collect();
    let cell = Cell {
        id: subject.id.clone(),
        order: planned.order,
        runtime: series.runtime.clone(),
        runtime_title: runtime.title.clone(),
        runtime_remark: runtime.remark.clone(),
        ours: runtime.ours,
        language: runtime.language.clone(),
        workload: series.workload.clone(),
        containerd: lab.containerd.clone(),
        pods: planned.pods,
        arrival: series.arrival,
        repetition: planned.repetition,
        phases: phases(before, &life, delete, &after),
        verdict: verdict.clone(),
        exceeded: exceeded.clone(),
    };
    record::write(lab.run, &cell, before, &life, &attribution, &after)?;
    lab.journal.note("cell-end", Some(id), json!({ "verdict": verdict, "exceeded": exceeded }));
    Ok(Measured { judged: Judged { verdict, exceeded }, after })
}

/// From the end of the ramp to the end of the plateau, then evidence and attribution.
async fn live(
    lab: &Lab<'_>,
    subject: &Subject<'_>,
    walk_before: Sample,
    mut ramp: Ramp,
    watch: &PodWatch,
    step: &Step,
) -> Result<Life> {
    let id = Some(subject.id.as_str());
    let mut failures = std::mem::take(&mut ramp.failures);
    let (Some(last_start_ns), true) = (ramp.last_start_ns(), failures.is_empty()) else {
        lab.journal.note("pods-failed", id, json!({ "reasons": failures }));
        return Ok(Life { walk_before, ramp, alive: None, failures });
    };
    lab.journal.note("pods-started", id, json!({ "last_start_ns": last_start_ns }));
    lab.collect_heaps().await;
    step.set("memory settles with the pods");
    let pods = ramp.pods.len() as u32;
    let running = || watch.table().running();
    let mut settle = wait_level(lab, pods, PhaseName::Settle, running).await?;
    step.set("plateau");
    let mut plateau = plateau(lab, watch, std::mem::take(&mut settle.level), last_start_ns).await?;
    failures.extend(ramp::failures(lab, watch).await);
    step.set("attribution");
    plateau.samples.push(walk_sample(lab, PhaseName::Plateau, running()).await?);
    let attribution = lab.observers.walk(PhaseName::Plateau, &ramp.pods).await?;
    step.set("control groups and the kubelet");
    plateau.samples.extend(pod_cgroup_samples(lab, &ramp.pods, running()).await?);
    if lab.experiment.timing.metrics_scrapes > 0 {
        let wanted = |name: &str| ramp.pods.iter().any(|pod| pod.name == name);
        let samples = kubelet_samples(lab, PhaseName::Plateau, running(), wanted).await;
        plateau.samples.extend(samples);
    }
    let durations_ns = lab.observers.durations_ns(&ramp.pods).await?;
    for pod in &mut ramp.pods {
        pod.duration_ns = durations_ns.get(&pod.name).copied();
    }
    step.set("evidence");
    let evidence = lab
        .observers
        .evidence(subject.runtime, &subject.image.program.path, &ramp.pods)
        .await
        .inspect_err(|error| {
            lab.journal.note("no-evidence", id, json!({ "error": format!("{error:?}") }));
        })
        .ok();
    let alive = Some(Alive { settle, plateau, evidence, attribution });
    Ok(Life { walk_before, ramp, alive, failures })
}

/// What no process and no counter of the kernel explains: its bytes, and its share of what was
/// taken.
fn unexplained(life: &Life, attribution: &[ProcessMemory]) -> Option<(i64, f64)> {
    let on_plateau = &life.alive.as_ref()?.plateau.samples;
    let mut samples = vec![life.walk_before.clone()];
    samples.extend(on_plateau.iter().filter(|sample| is_at_walk(sample)).cloned());
    let account = Account::of_cell(&samples, attribution)?;
    Some((account.rest() as i64, account.rest_share()))
}

fn is_at_walk(sample: &Sample) -> bool {
    matches!(sample.reading, Reading::MeminfoAtWalk(_))
}

fn facts<'a>(
    lab: &Lab<'_>,
    planned: &PlannedCell,
    subject: &Subject<'a>,
    life: &'a Life,
    (before, after): (&Baseline, &Baseline),
    leftover: Vec<String>,
) -> Facts<'a> {
    let alive = life.alive.as_ref();
    let available = |samples: &[Sample]| meminfo_median(samples, Meminfo::all_available_bytes);
    let free = |samples: &[Sample]| meminfo_median(samples, Meminfo::all_free_bytes);
    let (before_level, after_level) = (&before.waited.level, &after.waited.level);
    let unsettled = [
        (before.waited.settled, "before the pods"),
        (alive.is_none_or(|alive| alive.settle.settled), "with the pods"),
        (after.waited.settled, "after the pods"),
    ];
    Facts {
        pods_wanted: planned.pods,
        failures: life.failures.clone(),
        pods: &life.ramp.pods,
        stamps_wanted: subject.runtime.language != NO_CONTAINER,
        ramp_seen_end_ns: life.ramp.seen_end_ns,
        pods_running_min: alive.map_or(0, |alive| alive.plateau.pods_running_min),
        evidence: alive.and_then(|alive| alive.evidence.as_ref()),
        workload_sha256: &subject.image.program.sha256,
        unsettled: unsettled
            .iter()
            .filter(|(settled, _)| !settled)
            .map(|(_, stretch)| *stretch)
            .collect(),
        scrapes_wanted: lab.experiment.timing.metrics_scrapes,
        scrapes_got: alive.map_or(0, |alive| alive.plateau.scrapes),
        drift_bytes: available(after_level) - available(before_level),
        cost_bytes: alive
            .map_or(0, |alive| available(before_level) - available(&alive.plateau.samples)),
        foreign_bytes: alive.and_then(|alive| {
            Some(foreign_median(&alive.plateau.samples)? - foreign_median(before_level)?)
        }),
        node_drift_bytes: node_median(after_level)
            .and_then(|later| Some(later - node_median(before_level)?)),
        free_drift_bytes: free(after_level) - free(before_level),
        leftover,
        unexplained: None,
    }
}
