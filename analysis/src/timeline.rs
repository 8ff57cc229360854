//! Memory of the node over the whole run, thinned to what a figure can show.

use wamr_record::cell::PhaseName;
use wamr_record::reader::{CellRecord, Run};
use wamr_record::sample::Reading;

use crate::cell_figures::{taken_available, taken_free};
use crate::system::System;

/// Columns that a cell's line is thinned to; each keeps its lowest and highest reading.
const MAX_COLUMNS: usize = 400;

/// A point of a line: seconds since the run's first reading, bytes.
pub type Point = (f64, f64);

/// One cell over time.
#[derive(Debug, Clone, PartialEq)]
pub struct CellTrace {
    /// Place in the order of the run, from 1 for people.
    pub number: u32,
    /// Name of its system.
    pub title: String,
    /// Its pods.
    pub pods: u32,
    /// True if it counts.
    pub valid: bool,
    /// Begin and end in seconds.
    pub span_s: (f64, f64),
    /// Begin and end of each phase in seconds.
    pub phases: Vec<(PhaseName, f64, f64)>,
    /// Bytes that left the column `free` since the run's first reading.
    pub free: Vec<Point>,
    /// Bytes that stopped being available since then.
    pub available: Vec<Point>,
}

/// The traces of all cells that have readings.
pub fn traces(run: &Run, systems: &[System]) -> Vec<CellTrace> {
    let first_ns = run
        .cells
        .iter()
        .flat_map(|record| {
            let phases = record.cell.phases.iter().map(|phase| phase.begin_ns);
            phases.chain(record.samples.iter().map(|sample| sample.taken_ns))
        })
        .min()
        .unwrap_or(0);
    let seconds = |stamp_ns: i64| (stamp_ns as f64 - first_ns as f64) / 1e9;
    let mut traces: Vec<CellTrace> =
        run.cells.iter().filter_map(|record| trace(record, systems, &seconds)).collect();
    from_zero(&mut traces, |trace| &mut trace.free);
    from_zero(&mut traces, |trace| &mut trace.available);
    traces
}

/// Moves a line so that its earliest point lies at zero.
fn from_zero(traces: &mut [CellTrace], line: fn(&mut CellTrace) -> &mut Vec<Point>) {
    let firsts = traces.iter_mut().filter_map(|trace| line(trace).first().copied());
    let Some(first) = firsts.min_by(|left, right| left.0.total_cmp(&right.0)) else { return };
    for trace in traces {
        for point in line(trace) {
            point.1 -= first.1;
        }
    }
}

fn trace(
    record: &CellRecord,
    systems: &[System],
    seconds: &dyn Fn(i64) -> f64,
) -> Option<CellTrace> {
    let cell = &record.cell;
    let mut free = Vec::new();
    let mut available = Vec::new();
    for sample in &record.samples {
        if let Reading::Meminfo(meminfo) = &sample.reading {
            free.push((seconds(sample.taken_ns), taken_free(meminfo)));
            available.push((seconds(sample.taken_ns), taken_available(meminfo)));
        }
    }
    let phases: Vec<(PhaseName, f64, f64)> = cell
        .phases
        .iter()
        .map(|phase| (phase.name, seconds(phase.begin_ns), seconds(phase.end_ns)))
        .collect();
    let times = free.iter().map(|point| point.0);
    let times = times.chain(phases.iter().flat_map(|phase| [phase.1, phase.2]));
    let (begin, end) = times.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), time| {
        (low.min(time), high.max(time))
    });
    if free.is_empty() || begin > end {
        return None;
    }
    let system = systems.iter().find(|system| system.is_of(cell));
    Some(CellTrace {
        number: cell.order.saturating_add(1),
        title: system.map_or_else(|| cell.runtime_title.clone(), |system| system.title.clone()),
        pods: cell.pods,
        valid: cell.verdict.is_valid(),
        span_s: (begin, end),
        phases,
        free: thin(free),
        available: thin(available),
    })
}

/// Sorts by time and keeps the lowest and the highest point of each column.
fn thin(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    if points.len() <= 2 * MAX_COLUMNS {
        return points;
    }
    let mut kept = Vec::with_capacity(2 * MAX_COLUMNS);
    for column in points.chunks(points.len().div_ceil(MAX_COLUMNS)) {
        let by_bytes = |left: &&Point, right: &&Point| left.1.total_cmp(&right.1);
        let ends = column.iter().min_by(by_bytes).into_iter().chain(column.iter().max_by(by_bytes));
        let mut ends: Vec<Point> = ends.copied().collect();
        ends.sort_by(|left, right| left.0.total_cmp(&right.0));
        kept.extend(ends);
    }
    kept
}

#[test]
fn thinning_keeps_the_peaks() {
    let mut points: Vec<Point> = (0..10_000).map(|index| (f64::from(index), 5.0)).collect();
    points[7777].1 = 99.0;
    let kept = thin(points);
    assert!(kept.len() <= 2 * MAX_COLUMNS);
    assert!(kept.contains(&(7777.0, 99.0)));
    assert!(kept.is_sorted_by(|left, right| left.0 <= right.0));
}
