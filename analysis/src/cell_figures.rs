//! One cell: its lines in, its numbers out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wamr_record::arrival::Arrival;
use wamr_record::cell::{PhaseName, Pod, Verdict};
use wamr_record::reader::CellRecord;
use wamr_record::sample::{Meminfo, Reading, Sample};

use crate::attribution;
use crate::conditions;
use crate::estimator::{bracket, paper, start};
use crate::format::clean;
use crate::measure::Measure;
use crate::stats::quantile::median;

/// What became of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Used.
    Valid,
    /// Measured, not used.
    Invalid,
    /// The pods did not all start.
    Failed,
}

/// A cell's numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellFigures {
    /// The directory's name.
    pub id: String,
    /// Place in the order of the run.
    pub order: u32,
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
    /// Version of the containerd that ran it. Not in older runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<String>,
    /// How fast its pods arrived; absent if one call created all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// Pods asked for.
    pub pods: u32,
    /// Repetition, from 1.
    pub repetition: u32,
    /// What became of it.
    pub state: State,
    /// Remarks of a valid cell, reasons of another.
    pub reasons: Vec<String>,
    /// Samples of /proc/meminfo before the pods, on the plateau, after the pods.
    pub meminfo_samples: [usize; 3],
    /// Distinct metrics-server stamps before, on the plateau, after.
    pub metrics_stamps: [usize; 3],
    /// Taken bytes of all pods together by MemFree and by MemAvailable, for the slope.
    pub total_free_bytes: Option<f64>,
    /// As above, by MemAvailable.
    pub total_available_bytes: Option<f64>,
    /// The numbers; what could not be computed is not there.
    pub values: BTreeMap<Measure, f64>,
}

/// Phases whose levels are compared.
const LEVELS: [PhaseName; 3] = [PhaseName::Before, PhaseName::Plateau, PhaseName::After];

/// Computes all numbers of a cell.
pub fn cell_figures(record: &CellRecord) -> CellFigures {
    let cell = &record.cell;
    let (state, reasons) = match &cell.verdict {
        Verdict::Valid { notes } => (State::Valid, notes),
        Verdict::Invalid { reasons, .. } => (State::Invalid, reasons),
        Verdict::Failed { reasons } => (State::Failed, reasons),
    };
    let mut values = BTreeMap::new();
    memory(record, &mut values);
    let metrics_stamps = metrics(record, &mut values);
    start_up(&record.pods, cell.pods, &mut values);
    if cell.arrival.is_some() {
        conditions::put(&record.pods, cell.pods, &mut values);
    }
    sockets(record, &mut values);
    sources(record, &mut values);
    attribution::parts(record, &mut values);
    let total = |measure| values.get(&measure).map(|value| value * f64::from(cell.pods));
    CellFigures {
        id: cell.id.clone(),
        order: cell.order,
        runtime: cell.runtime.clone(),
        workload: cell.workload.clone(),
        containerd: cell.containerd.as_deref().map(clean),
        arrival: cell.arrival,
        pods: cell.pods,
        repetition: cell.repetition,
        state,
        reasons: cell.exceeded.iter().chain(reasons).cloned().collect(),
        meminfo_samples: LEVELS.map(|phase| column(&record.samples, phase, taken_free).len()),
        metrics_stamps,
        total_free_bytes: total(Measure::FreePaper),
        total_available_bytes: total(Measure::AvailableBracket),
        values,
    }
}

/// Bytes that are not in the column `free`.
pub fn taken_free(meminfo: &Meminfo) -> f64 {
    meminfo.total_bytes as f64 - meminfo.all_free_bytes() as f64
}

/// Bytes that no new program could get without swapping.
pub fn taken_available(meminfo: &Meminfo) -> f64 {
    meminfo.total_bytes as f64 - meminfo.all_available_bytes() as f64
}

/// Bytes that are neither free nor buffers, page cache or reclaimable slab.
fn taken_used(meminfo: &Meminfo) -> f64 {
    meminfo.total_bytes as f64
        - meminfo.all_free_bytes() as f64
        - meminfo.buffers_bytes as f64
        - meminfo.cached_bytes as f64
        - meminfo.slab_reclaimable_bytes as f64
}

fn column(samples: &[Sample], phase: PhaseName, of: impl Fn(&Meminfo) -> f64) -> Vec<f64> {
    let readings = samples.iter().filter(|sample| sample.phase == phase);
    readings
        .filter_map(|sample| match &sample.reading {
            Reading::Meminfo(meminfo) => Some(of(meminfo)),
            _ => None,
        })
        .collect()
}

fn put(values: &mut BTreeMap<Measure, f64>, measure: Measure, value: Option<f64>) {
    if let Some(value) = value.filter(|value| value.is_finite()) {
        values.insert(measure, value);
    }
}

fn memory(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) {
    type Column = (fn(&Meminfo) -> f64, Measure, Measure, Option<Measure>);
    let columns: [Column; 3] = [
        (taken_free, Measure::FreePaper, Measure::FreeBracket, Some(Measure::FreeDrift)),
        (
            taken_available,
            Measure::AvailablePaper,
            Measure::AvailableBracket,
            Some(Measure::AvailableDrift),
        ),
        (taken_used, Measure::UsedPaper, Measure::UsedBracket, None),
    ];
    let pods = record.cell.pods;
    for (of, by_paper, by_bracket, drift) in columns {
        let [before, plateau, after] = LEVELS.map(|phase| column(&record.samples, phase, of));
        put(values, by_paper, paper::per_pod(&before, &plateau, pods));
        put(values, by_bracket, bracket::per_pod(&before, &plateau, &after, pods));
        if let Some(drift) = drift {
            put(values, drift, paper::per_pod(&before, &after, pods));
        }
    }
}

/// Sockets' memory overlaps slab, so it is a figure of its own and no part of the account.
fn sockets(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) {
    let of = |meminfo: &Meminfo| meminfo.sockets_bytes as f64;
    let [before, plateau, _] = LEVELS.map(|phase| column(&record.samples, phase, of));
    put(values, Measure::KernelSockets, paper::per_pod(&before, &plateau, record.cell.pods));
}

/// What a reading of the sources besides `/proc/meminfo` and metrics-server says, and of when, if
/// the source looked earlier than it was asked.
fn by_measure(reading: &Reading) -> (Option<i64>, Vec<(Measure, u64)>) {
    match reading {
        Reading::NodeCgroup { .. } => {
            let kept = reading.node_cgroup_kept_bytes();
            (None, kept.map(|bytes| (Measure::NodeCgroup, bytes)).into_iter().collect())
        }
        Reading::KubeletSummaryNode { timestamp_ns, working_set_bytes, .. } => {
            (Some(*timestamp_ns), vec![(Measure::SummaryNode, *working_set_bytes)])
        }
        Reading::KubeletResourceNode { timestamp_ns, working_set_bytes, .. } => {
            (Some(*timestamp_ns), vec![(Measure::ResourceNode, *working_set_bytes)])
        }
        Reading::PodCgroup { working_set_bytes, .. } => {
            (None, vec![(Measure::PodCgroup, *working_set_bytes)])
        }
        Reading::KubeletSummaryPod { timestamp_ns, working_set_bytes, .. } => {
            (Some(*timestamp_ns), vec![(Measure::SummaryPod, *working_set_bytes)])
        }
        Reading::KubeletResourcePod {
            timestamp_ns,
            working_set_bytes,
            containers_working_set_bytes,
            ..
        } => (
            Some(*timestamp_ns),
            vec![
                (Measure::ResourcePod, *working_set_bytes),
                (Measure::ResourceContainers, *containers_working_set_bytes),
            ],
        ),
        _ => (None, Vec::new()),
    }
}

/// A node's figure grows from before the pods to the plateau; a pod's own is one by itself. On the
/// plateau only what was looked at after the last start counts.
fn sources(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) {
    let mut levels: BTreeMap<(Measure, PhaseName), Vec<f64>> = BTreeMap::new();
    let last_start_ns = record.pods.iter().filter_map(|pod| pod.first_instruction_ns).max();
    for sample in &record.samples {
        let (looked_ns, figures) = by_measure(&sample.reading);
        if sample.phase == PhaseName::Plateau && looked_ns.is_some() && looked_ns < last_start_ns {
            continue;
        }
        for (measure, bytes) in figures {
            levels.entry((measure, sample.phase)).or_default().push(bytes as f64);
        }
    }
    let level = |measure, phase| levels.get(&(measure, phase)).map_or(&[][..], Vec::as_slice);
    for measure in [Measure::NodeCgroup, Measure::SummaryNode, Measure::ResourceNode] {
        let [before, plateau, _] = LEVELS.map(|phase| level(measure, phase));
        put(values, measure, paper::per_pod(before, plateau, record.cell.pods));
    }
    for measure in
        [Measure::PodCgroup, Measure::SummaryPod, Measure::ResourcePod, Measure::ResourceContainers]
    {
        put(values, measure, median(level(measure, PhaseName::Plateau)));
    }
}

/// metrics-server repeats a figure until its next scrape: each stamp counts once.
fn metrics(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) -> [usize; 3] {
    let levels = LEVELS.map(|phase| {
        let mut by_stamp = BTreeMap::new();
        for sample in record.samples.iter().filter(|sample| sample.phase == phase) {
            if let Reading::MetricsServerNode { timestamp_ns, working_set_bytes, .. } =
                sample.reading
            {
                by_stamp.insert(timestamp_ns, working_set_bytes as f64);
            }
        }
        by_stamp.into_values().collect::<Vec<f64>>()
    });
    let [before, plateau, after] = &levels;
    let pods = record.cell.pods;
    put(values, Measure::NodeMetrics, paper::per_pod(before, plateau, pods));
    put(values, Measure::NodeMetricsBracket, bracket::per_pod(before, plateau, after, pods));
    let mut seen = BTreeSet::new();
    let mut of_pods = Vec::new();
    for sample in record.samples.iter().filter(|sample| sample.phase == PhaseName::Plateau) {
        if let Reading::MetricsServerPod { timestamp_ns, pod, working_set_bytes, .. } =
            &sample.reading
            && seen.insert((pod, timestamp_ns))
        {
            of_pods.push(*working_set_bytes as f64);
        }
    }
    put(values, Measure::PodMetrics, median(&of_pods));
    levels.map(|level| level.len())
}

fn start_up(pods: &[Pod], wanted: u32, values: &mut BTreeMap<Measure, f64>) {
    if pods.is_empty() || pods.len() as u64 != u64::from(wanted) {
        return;
    }
    let of = |stamp: fn(&Pod) -> Option<i64>| {
        start::reached(&pods.iter().map(|pod| (pod.requested_ns, stamp(pod))).collect::<Vec<_>>())
    };
    if let Some(first) = of(|pod| pod.first_instruction_ns) {
        put(values, Measure::StartLast, Some(first.last_ns));
        put(values, Measure::StartFirst, Some(first.first_ns));
        put(values, Measure::StartP10, Some(first.p10_ns));
        put(values, Measure::StartP50, Some(first.p50_ns));
        put(values, Measure::StartP90, Some(first.p90_ns));
    }
    if let Some(scheduled) = of(|pod| pod.scheduled_ns) {
        put(values, Measure::ScheduledP50, Some(scheduled.p50_ns));
        put(values, Measure::ScheduledLast, Some(scheduled.last_ns));
    }
    if let Some(running) = of(|pod| pod.running_ns) {
        put(values, Measure::RunningP50, Some(running.p50_ns));
        put(values, Measure::RunningLast, Some(running.last_ns));
    }
    put(values, Measure::LogLast, of(|pod| pod.log_ns).map(|log| log.last_ns));
    let durations: Vec<_> = pods.iter().map(|pod| (0, pod.duration_ns)).collect();
    if let Some(work) = start::reached(&durations) {
        put(values, Measure::WorkP50, Some(work.p50_ns));
        put(values, Measure::WorkLast, Some(work.last_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(taken_ns: i64, timestamp_ns: i64, phase: PhaseName, working_set_bytes: u64) -> Sample {
        let reading =
            Reading::MetricsServerNode { timestamp_ns, window_s: 15.0, working_set_bytes };
        Sample { taken_ns, phase, pods_running: 0, reading }
    }

    fn record(samples: Vec<Sample>, pods: Vec<Pod>) -> CellRecord {
        let cell = wamr_record::cell::Cell {
            id: "0000-x".to_owned(),
            order: 0,
            runtime: "x".to_owned(),
            runtime_title: "X".to_owned(),
            runtime_remark: None,
            containerd: None,
            ours: false,
            arrival: None,
            exceeded: vec![],
            language: "wasm".to_owned(),
            workload: "w".to_owned(),
            pods: 2,
            repetition: 1,
            phases: Vec::new(),
            verdict: Verdict::Valid { notes: Vec::new() },
        };
        CellRecord { cell, samples, pods, attribution: Vec::new(), evidence: None }
    }

    #[test]
    fn a_repeated_metrics_stamp_counts_once() {
        let plateau = [(1, 7, 300), (2, 7, 300), (3, 7, 300), (4, 8, 500)];
        let mut samples = vec![node(0, 1, PhaseName::Before, 100)];
        samples.extend(
            plateau.map(|(taken, stamp, bytes)| node(taken, stamp, PhaseName::Plateau, bytes)),
        );
        let figures = cell_figures(&record(samples, Vec::new()));
        assert_eq!(figures.metrics_stamps, [1, 2, 0]);
        assert_eq!(figures.values.get(&Measure::NodeMetrics), Some(&150.0));
    }

    #[test]
    fn a_kubelet_that_looked_before_the_last_start_does_not_count() {
        let looked = |timestamp_ns, working_set_bytes| Sample {
            taken_ns: 100,
            phase: PhaseName::Plateau,
            pods_running: 2,
            reading: Reading::KubeletSummaryPod {
                timestamp_ns,
                pod: "a".to_owned(),
                usage_bytes: 0,
                working_set_bytes,
                rss_bytes: 0,
            },
        };
        let samples = vec![looked(8, 1000), looked(10, 30)];
        let figures = cell_figures(&record(samples, vec![pod()]));
        assert_eq!(figures.values.get(&Measure::SummaryPod), Some(&30.0));
    }

    fn pod() -> Pod {
        Pod {
            name: "a".to_owned(),
            uid: "u".to_owned(),
            container_id: None,
            pid: None,
            cgroup: None,
            node: None,
            requested_ns: 5,
            scheduled_ns: None,
            sandbox_ns: None,
            created_ns: None,
            started_ns: None,
            running_ns: None,
            first_instruction_ns: Some(9),
            log_ns: None,
            duration_ns: None,
        }
    }

    #[test]
    fn the_start_is_unknown_while_a_pod_is_missing() {
        let start = |pods| cell_figures(&record(Vec::new(), pods)).values;
        assert_eq!(start(vec![pod()]).get(&Measure::StartLast), None);
        assert_eq!(start(vec![pod(), pod()]).get(&Measure::StartLast), Some(&4.0));
        let worked = |duration_ns| Pod { duration_ns, ..pod() };
        let work = start(vec![worked(Some(7)), worked(Some(9))]);
        assert_eq!((work[&Measure::WorkP50], work[&Measure::WorkLast]), (8.0, 9.0));
        let half = start(vec![worked(Some(7)), worked(None)]);
        assert_eq!(half.get(&Measure::WorkP50), None, "not until all have said so");
    }
}
