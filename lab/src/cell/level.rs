//! Waiting for level memory, and the samples taken meanwhile.

use std::time::Duration;

use miette::Result;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wamr_record::cell::{PhaseName, Pod};
use wamr_record::experiment::Caches;
use wamr_record::sample::{Reading, Sample};

use crate::clock::now_ns;
use crate::lab::Lab;
use crate::run_dir::journal::Journal;
use crate::sample::kubelet;
use crate::sample::metrics_server::Scrapes;
use crate::settle::{Decision, Point, Rule};

/// The kubelet reads a figure anew if it is asked while it has none; it is asked between phases.
const KUBELET_TIMEOUT: Duration = Duration::from_secs(10);

/// A stretch of waiting that has ended.
#[derive(Debug, Clone)]
pub struct Waited {
    /// Readings before the level windows.
    pub unlevel: Vec<Sample>,
    /// Readings of the last two windows.
    pub level: Vec<Sample>,
    /// False if the time was over first.
    pub settled: bool,
}

/// Level memory without pods: the end of one cell and the begin of the next.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The readings.
    pub waited: Waited,
    /// What metrics-server said of the node in that time, if anything new, and the kubelet.
    pub node_metrics: Vec<Sample>,
}

impl Waited {
    /// Begin and end of the level windows.
    pub fn level_span_ns(&self) -> (i64, i64) {
        let begin_ns = self.level.first().map_or_else(now_ns, |sample| sample.taken_ns);
        (begin_ns, self.level.last().map_or(begin_ns, |sample| sample.taken_ns))
    }
}

/// Reads MemAvailable once a second until the rule is content. `running` counts the pods.
///
/// # Errors
/// Memory cannot be read.
pub async fn wait_level(
    lab: &Lab<'_>,
    pods: u32,
    phase: PhaseName,
    mut running: impl FnMut() -> u32,
) -> Result<Waited> {
    let rule = Rule::new(&lab.experiment.timing, pods);
    // `begins` has the place among the samples where the readings of each point begin.
    let (mut samples, mut points, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let first = samples.len();
        for sample in memory_samples(lab, phase, running()).await? {
            if let Reading::Meminfo(meminfo) = sample.reading {
                let at_s = begun.elapsed().as_secs_f64();
                points.push(Point { at_s, available_bytes: meminfo.all_available_bytes() });
                begins.push(first);
            }
            samples.push(sample);
        }
        let decision = rule.decide(&points);
        if decision == Decision::Wait {
            continue;
        }
        let level = samples.split_off(begins[rule.baseline_begin(&points)]);
        let settled = decision == Decision::Level;
        return Ok(Waited { unlevel: samples, level, settled });
    }
}

/// What the kubelet says at this moment of the node and of the pods that `wanted` names. A figure
/// that it does not give is left out, with a line in the journal.
pub async fn kubelet_samples(
    lab: &Lab<'_>,
    phase: PhaseName,
    pods_running: u32,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Sample> {
    let taken_ns = now_ns();
    let mut readings = Vec::new();
    for path in [kubelet::SUMMARY, kubelet::RESOURCE] {
        let answers = match timeout(KUBELET_TIMEOUT, lab.cluster.kubelets(path)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                lab.journal.note(
                    "no-kubelet-figure",
                    None,
                    json!({ "error": format!("{error:?}") }),
                );
                continue;
            }
            Err(_) => {
                lab.journal.note("no-kubelet-figure", None, json!({ "late": path }));
                continue;
            }
        };
        for answer in answers {
            match path {
                kubelet::SUMMARY => match kubelet::summary(&answer, &wanted) {
                    Ok(figures) => readings.extend(figures),
                    Err(error) => {
                        let detail = json!({ "error": error.to_string() });
                        lab.journal.note("no-kubelet-figure", None, detail);
                    }
                },
                _ => readings.extend(kubelet::resource(&answer, &wanted)),
            }
        }
    }
    let sample = |reading| Sample { taken_ns, phase, pods_running, reading };
    kubelet::together(readings).into_iter().map(sample).collect()
}

/// Drops caches as the experiment asks, has heaps collected, then waits for level memory without
/// pods.
///
/// # Errors
/// Memory cannot be read, caches cannot be dropped.
pub async fn baseline(lab: &Lab<'_>, pods: u32) -> Result<Baseline> {
    prepare_caches(lab).await?;
    lab.collect_heaps().await;
    let mut scrapes = Scrapes::after(now_ns());
    let waited = wait_level(lab, pods, PhaseName::Before, || 0).await?;
    let mut node_metrics = Vec::new();
    if lab.experiment.timing.metrics_scrapes > 0 {
        node_metrics.extend(node_metrics_sample(lab, PhaseName::Before, 0, &mut scrapes).await);
        node_metrics.extend(kubelet_samples(lab, PhaseName::Before, 0, |_| false).await);
    }
    Ok(Baseline { waited, node_metrics })
}

/// The reading that a walk over all processes is compared with; the walk follows at once.
///
/// # Errors
/// `/proc/meminfo` cannot be read.
pub async fn walk_sample(lab: &Lab<'_>, phase: PhaseName, pods_running: u32) -> Result<Sample> {
    let reading = Reading::MeminfoAtWalk(lab.observers.meminfo().await?);
    Ok(Sample { taken_ns: now_ns(), phase, pods_running, reading })
}

/// The control groups of the pods; one that is gone is left out.
///
/// # Errors
/// A node cannot be asked.
pub async fn pod_cgroup_samples(
    lab: &Lab<'_>,
    pods: &[Pod],
    pods_running: u32,
) -> Result<Vec<Sample>> {
    let taken_ns = now_ns();
    let sample = |reading| Sample { taken_ns, phase: PhaseName::Plateau, pods_running, reading };
    Ok(lab.observers.pod_cgroups(pods).await?.into_iter().map(sample).collect())
}

/// One reading of memory, as [`crate::observer::aggregate::Observers::memory`].
///
/// # Errors
/// `/proc/meminfo` cannot be read. A control group that cannot be is left out.
pub async fn memory_samples(
    lab: &Lab<'_>,
    phase: PhaseName,
    pods_running: u32,
) -> Result<Vec<Sample>> {
    let readings = lab.observers.memory().await?;
    let taken_ns = now_ns();
    let sample = |reading| Sample { taken_ns, phase, pods_running, reading };
    Ok(readings.into_iter().map(sample).collect())
}

/// metrics-server answers from memory; a slower answer must not delay the next sample.
fn metrics_timeout(lab: &Lab<'_>) -> Duration {
    Duration::from_millis(lab.experiment.timing.metrics_timeout_ms)
}

/// The node's figure, if metrics-server has a new one and says so in time.
pub async fn node_metrics_sample(
    lab: &Lab<'_>,
    phase: PhaseName,
    pods_running: u32,
    scrapes: &mut Scrapes,
) -> Option<Sample> {
    let objects = timeout(metrics_timeout(lab), lab.cluster.node_metrics()).await.ok()?.ok()?;
    let reading = scrapes.nodes(&objects)?;
    Some(Sample { taken_ns: now_ns(), phase, pods_running, reading })
}

/// The pods' new figures.
pub async fn pod_metrics_samples(
    lab: &Lab<'_>,
    phase: PhaseName,
    pods_running: u32,
    scrapes: &mut Scrapes,
) -> Vec<Sample> {
    let Ok(Ok(objects)) = timeout(metrics_timeout(lab), lab.cluster.pod_metrics()).await else {
        return Vec::new();
    };
    let taken_ns = now_ns();
    objects
        .iter()
        .filter_map(|(pod, object)| scrapes.pod(pod, object))
        .map(|reading| Sample { taken_ns, phase, pods_running, reading })
        .collect()
}

/// For `cold`, writes dirty pages back and drops clean ones, so that no cell profits from the one
/// before it. The journal tells the mode.
///
/// # Errors
/// A kernel refuses.
async fn prepare_caches(lab: &Lab<'_>) -> Result<()> {
    if lab.experiment.caches == Caches::Cold {
        lab.observers.drop_caches().await?;
    }
    note_caches(lab.experiment.caches, lab.journal);
    Ok(())
}

/// Writes down what was done to page caches.
pub fn note_caches(caches: Caches, journal: &Journal) {
    let mode = match caches {
        Caches::Warm => "warm",
        Caches::Cold => "cold",
    };
    journal.note("caches", None, json!({ "mode": mode }));
}
