//! The table at the end of a run. `wamr-report` says more; this is the glance on the terminal.
//!
//! MB are 10^6 bytes and kB 10^3 bytes, as in the figures.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use wamr_record::cell::{PhaseName, ProcessMemory, Role, Verdict};
use wamr_record::reader::{CellRecord, Run};
use wamr_record::sample::{Meminfo, Reading};

use crate::cell::record::median;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const OURS: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// Largest mappings that are named.
const MAPPINGS: usize = 4;

/// A row: one runtime and workload at one density, over its valid cells.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    title: String,
    pods: u32,
    ours: bool,
    valid: bool,
    free_mb: Option<f64>,
    available_mb: Option<f64>,
    node_cgroup_mb: Option<f64>,
    metrics_server_mb: Option<f64>,
    start_s: Option<f64>,
    private_kb: Option<f64>,
    mappings: Vec<(String, f64)>,
}

/// The table as text with terminal styles; print it through `anstream`.
pub fn render(run: &Run) -> String {
    let mut text = String::new();
    let rows = rows(run);
    if !rows.is_empty() {
        render_rows(&mut text, &rows);
    }
    for record in &run.cells {
        let (word, reasons) = match &record.cell.verdict {
            Verdict::Valid { notes } if notes.is_empty() => continue,
            Verdict::Valid { notes } => ("note", notes),
            Verdict::Invalid { reasons } => ("INVALID", reasons),
            Verdict::Failed { reasons } => ("FAILED", reasons),
        };
        let style = if record.cell.verdict.is_valid() { DIM } else { BAD };
        let (id, reasons) = (&record.cell.id, reasons.join("; "));
        // Writing to a String cannot fail.
        writeln!(text, "{style}{word}{style:#} {id}: {reasons}").unwrap_or_default();
    }
    text
}

fn render_rows(text: &mut String, rows: &[Row]) {
    let width = rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0).max(7);
    let mut line = |content: std::fmt::Arguments| {
        text.write_fmt(content).unwrap_or_default();
        text.push('\n');
    };
    let heads = [
        ["", "", "MemFree", "MemAvail.", "node", "metrics-", "start", "container"],
        ["", "", "MB/pod", "MB/pod", "MB/pod", "server", "of all", "private"],
        ["runtime", "pods", "", "", "(cgroup)", "MB/pod", "s", "kB"],
    ];
    for [runtime, pods, free, available, node, metrics, start, container] in heads {
        line(format_args!(
            "{BOLD}{runtime:width$}  {pods:>4}  {free:>9}  {available:>9}  {node:>9}  \
             {metrics:>9}  {start:>7}  {container:>9}{BOLD:#}"
        ));
    }
    for row in rows {
        let style = if row.ours { OURS } else { Style::new() };
        line(format_args!(
            "{style}{:width$}{style:#}  {:>4}  {:>9}  {:>9}  {:>9}  {:>9}  {:>7}  {:>9}{}",
            row.title,
            row.pods,
            number(row.free_mb, 2),
            number(row.available_mb, 2),
            number(row.node_cgroup_mb, 2),
            number(row.metrics_server_mb, 2),
            number(row.start_s, 2),
            number(row.private_kb, 0),
            if row.valid { "" } else { "  invalid, see below" },
        ));
    }
    line(format_args!(
        "{DIM}MB = 10^6 bytes, kB = 10^3. node: the node's own control group without page cache.\n\
         container: private memory of an idle container's process (median); of one of them:{DIM:#}"
    ));
    for row in rows.iter().filter(|row| !row.mappings.is_empty()) {
        let parts: Vec<String> =
            row.mappings.iter().map(|(name, kb)| format!("{name} {kb:.0}")).collect();
        line(format_args!("{DIM}  {:width$}  {}{DIM:#}", row.title, parts.join(", ")));
    }
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Our own rows first. Cells that failed are left out, and invalid ones where there are valid
/// ones; a row of invalid cells says so.
fn rows(run: &Run) -> Vec<Row> {
    let mut groups: BTreeMap<(bool, &str, &str, u32), Vec<&CellRecord>> = BTreeMap::new();
    for record in &run.cells {
        let cell = &record.cell;
        let key = (!cell.ours, cell.runtime.as_str(), cell.workload.as_str(), cell.pods);
        if !matches!(cell.verdict, Verdict::Failed { .. }) {
            groups.entry(key).or_default().push(record);
        }
    }
    let row = |mut records: Vec<&CellRecord>| {
        if records.iter().any(|record| record.cell.verdict.is_valid()) {
            records.retain(|record| record.cell.verdict.is_valid());
        }
        row(&records)
    };
    groups.into_values().map(row).collect()
}

fn row(records: &[&CellRecord]) -> Row {
    let cell = &records[0].cell;
    let mean = |value: &dyn Fn(&CellRecord) -> Option<f64>| {
        let values: Vec<f64> = records.iter().filter_map(|record| value(record)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Row {
        title: cell.runtime_title.clone(),
        pods: cell.pods,
        ours: cell.ours,
        valid: cell.verdict.is_valid(),
        free_mb: mean(&|record| less_mb(record, Meminfo::all_free_bytes)),
        available_mb: mean(&|record| less_mb(record, Meminfo::all_available_bytes)),
        node_cgroup_mb: mean(&node_cgroup_mb),
        metrics_server_mb: mean(&metrics_server_mb),
        start_s: mean(&start_s),
        private_kb: mean(&|record| median(containers(record).map(private_kb))),
        mappings: mappings(records[0]),
    }
}

/// The paper's estimator: by how much a field of `/proc/meminfo` fell, divided by the pods.
fn less_mb(record: &CellRecord, field: impl Fn(&Meminfo) -> u64) -> Option<f64> {
    per_pod_mb(record, |reading| match reading {
        Reading::Meminfo(meminfo) => Some(field(meminfo)),
        _ => None,
    })
    .map(|growth_mb| -growth_mb)
}

/// By how much the node's control group grew, page cache aside, divided by the pods.
fn node_cgroup_mb(record: &CellRecord) -> Option<f64> {
    per_pod_mb(record, Reading::node_cgroup_kept_bytes)
}

/// Growth of a figure from the baseline to the plateau, medians, divided by the pods.
fn per_pod_mb(record: &CellRecord, figure: impl Fn(&Reading) -> Option<u64>) -> Option<f64> {
    let level = |phase: PhaseName| {
        let samples = record.samples.iter().filter(|sample| sample.phase == phase);
        median(samples.filter_map(|sample| Some(figure(&sample.reading)? as f64)))
    };
    let growth = level(PhaseName::Plateau)? - level(PhaseName::Before)?;
    Some(growth / f64::from(record.cell.pods) / 1e6)
}

/// Mean over the pods of the median of each pod's figures.
fn metrics_server_mb(record: &CellRecord) -> Option<f64> {
    let mut pods: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in record.samples.iter().filter(|sample| sample.phase == PhaseName::Plateau) {
        if let Reading::MetricsServerPod { pod, working_set_bytes, .. } = &sample.reading {
            pods.entry(pod).or_default().push(*working_set_bytes as f64);
        }
    }
    let count = pods.len() as f64;
    let sum: f64 = pods.into_values().filter_map(|values| median(values.into_iter())).sum();
    (count > 0.0).then_some(sum / count / 1e6)
}

/// From the create call to the last start stamp.
fn start_s(record: &CellRecord) -> Option<f64> {
    let last_ns = record.pods.iter().filter_map(|pod| pod.first_instruction_ns).max()?;
    Some((last_ns - record.pods.first()?.requested_ns) as f64 / 1e9)
}

fn containers(record: &CellRecord) -> impl Iterator<Item = &ProcessMemory> {
    record.attribution.iter().filter(|memory| memory.role == Role::Container)
}

fn private_kb(memory: &ProcessMemory) -> f64 {
    (memory.private_clean_bytes + memory.private_dirty_bytes) as f64 / 1e3
}

/// The largest mappings of the first container that lists them, in kB.
fn mappings(record: &CellRecord) -> Vec<(String, f64)> {
    let detailed = containers(record).find(|memory| !memory.private_by_mapping.is_empty());
    let mut mappings: Vec<(String, f64)> = detailed
        .into_iter()
        .flat_map(|memory| &memory.private_by_mapping)
        .map(|(name, bytes)| {
            let short = name.rsplit('/').next().filter(|short| !short.is_empty());
            (short.unwrap_or("its program").to_owned(), *bytes as f64 / 1e3)
        })
        .collect();
    mappings.sort_by(|left, right| right.1.total_cmp(&left.1));
    mappings.truncate(MAPPINGS);
    mappings
}

#[cfg(test)]
mod tests;
