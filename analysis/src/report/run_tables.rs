//! Tables of the run: the summary, start-up, validity of the cells.

use std::collections::BTreeSet;
use std::fmt::Write;

use wamr_record::arrival::Condition;

use super::memory_tables::{class, head, row};
use super::table::{Cell, Table};
use crate::attribution::is_open;
use crate::cell_figures::{CellFigures, State};
use crate::conditions::{is_of_arrival, measures};
use crate::format::{count, mb, ms, shorten};
use crate::measure::{Measure, Unit};
use crate::study::Study;

/// The main table.
pub fn summary(study: &Study) -> Table {
    let mut note = "free and metrics-server: plateau minus before, as in the paper. available: \
                    plateau minus the mean of before and after."
        .to_owned();
    for system in &study.systems {
        if let Some(remark) = &system.remark {
            write!(note, " {}: {}.", system.title, shorten(remark, 300)).unwrap_or_default();
        }
    }
    let mut table = Table::new("summary", "What a pod costs", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    let several = containerds(study.cells.iter()).len() > 1;
    if several {
        table = table.words("containerd", "containerd");
    }
    table = table
        .words("Valid", "valid_cells")
        .spread("free", "MB per pod", Measure::FreePaper.key())
        .spread("available", "MB per pod", Measure::AvailableBracket.key())
        .spread("metrics-server", "MB per pod", Measure::NodeMetrics.key())
        .spread("all pods started", "ms", Measure::StartLast.key())
        .spread("free, to ours", "times", "free_ratio")
        .spread("start, to ours", "times", "start_ratio");
    let times_count = !study.environment.emulated;
    for group in &study.groups {
        let mut cells = head(study, group);
        if several {
            let system = &study.systems[group.key.system];
            let of_group = |cell: &&CellFigures| cell.pods == group.key.pods && cell.is_of(system);
            let versions = containerds(study.cells.iter().filter(of_group));
            cells.push(Cell::words(&versions.join(", ")));
        }
        cells.push(Cell::words(&format!("{} of {}", group.valid, group.all())));
        let of = |measure| group.values.get(&measure);
        cells.push(Cell::summary(of(Measure::FreePaper), mb));
        cells.push(Cell::summary(of(Measure::AvailableBracket), mb));
        cells.push(Cell::summary(of(Measure::NodeMetrics), mb));
        cells.push(Cell::summary(of(Measure::StartLast).filter(|_| times_count), ms));
        let ratio = |measure| group.ratios.get(&measure);
        let mut to_ours = [
            Cell::ratio(ratio(Measure::FreePaper)),
            Cell::ratio(ratio(Measure::StartLast).filter(|_| times_count)),
        ];
        let system = &study.systems[group.key.system];
        let is_reference = study.reference().is_some_and(|reference| reference == system);
        for cell in to_ours.iter_mut().filter(|_| is_reference && group.valid > 0) {
            "1".clone_into(&mut cell.text);
            "1".clone_into(&mut cell.raw[0]);
        }
        cells.extend(to_ours);
        table.row(class(system), cells);
    }
    table
}

/// The versions of containerd that ran some cells, each once.
fn containerds<'a>(cells: impl Iterator<Item = &'a CellFigures>) -> Vec<&'a str> {
    let versions: BTreeSet<&str> = cells.filter_map(|cell| cell.containerd.as_deref()).collect();
    versions.into_iter().collect()
}

/// Every stage of the start.
pub fn start(study: &Study) -> Table {
    let note = if study.environment.emulated {
        "Milliseconds after the call that creates the pods. The processor was emulated: these \
         times do not count."
    } else {
        "Milliseconds after the call that creates the pods. Scheduled and running are seen through \
         the API server, so “running” comes later than the workload's own first instruction."
    };
    let columns = [
        ("first instruction, half", Measure::StartP50),
        ("first instruction, 90 %", Measure::StartP90),
        ("first instruction, all", Measure::StartLast),
        ("scheduled, half", Measure::ScheduledP50),
        ("scheduled, all", Measure::ScheduledLast),
        ("running, half", Measure::RunningP50),
        ("running, all", Measure::RunningLast),
        ("first log line, all", Measure::LogLast),
    ];
    let mut table = Table::new("start", "Start-up by stage", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        table = table.spread(title, "ms", measure.key());
    }
    for group in &study.groups {
        let measures = columns.map(|column| column.1);
        table.row(class(&study.systems[group.key.system]), row(study, group, &measures, ms));
    }
    table
}

/// How long pods that arrive one by one take to each condition, if the run has any.
pub fn conditions(study: &Study) -> Option<Table> {
    let note = "Milliseconds from each pod's own request; all is the slowest pod. Scheduled and \
                sandbox are seen through the API server, created and started are the kubelet's own \
                times, the first instruction is the workload's.";
    let mut table = Table::new("conditions", "Pods that arrive one by one", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods")
        .words("Condition", "condition");
    for (head, key) in [("half", "p50"), ("90 %", "p90"), ("99 %", "p99"), ("all", "last")] {
        table = table.spread(head, "ms", &format!("{key}_ns"));
    }
    for group in &study.groups {
        let system = &study.systems[group.key.system];
        if system.arrival.is_none() {
            continue;
        }
        for condition in Condition::ALL {
            let mut cells = row(study, group, &measures(condition), ms);
            cells.insert(2, Cell::words(condition.word()));
            table.row(class(system), cells);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// How long a fixed amount of work takes, if the run has a workload that does one.
pub fn work(study: &Study) -> Option<Table> {
    let note = if study.environment.emulated {
        "By the workload's own clock. The processor was emulated: these times do not count."
    } else {
        "The same computation and checksum in every system, by the workload's own clock. Pods of a \
         cell compute at the same time and share the processors."
    };
    let columns = [("half of the pods", Measure::WorkP50), ("the slowest pod", Measure::WorkLast)];
    let mut table = Table::new("work", "A fixed computation", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        table = table.spread(title, "ms", measure.key());
    }
    for group in &study.groups {
        if group.median(Measure::WorkP50).is_none() {
            continue;
        }
        let measures = columns.map(|column| column.1);
        table.row(class(&study.systems[group.key.system]), row(study, group, &measures, ms));
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Every cell with what became of it, the missing ones last.
pub fn cells(study: &Study) -> Table {
    let note = "In the order in which they were measured. Only valid cells are used.";
    let mut table = Table::new("cells", "Validity of every cell", note)
        .number("No.", "", "number")
        .words("Runtime", "runtime")
        .number("Pods", "", "pods")
        .number("Repetition", "", "repetition");
    // Runs of before do not say it.
    let is_known = !containerds(study.cells.iter()).is_empty();
    if is_known {
        table = table.words("containerd", "containerd");
    }
    table = table
        .words("State", "state")
        .words("Reasons and remarks", "reasons")
        .words("Samples before, plateau, after", "meminfo_samples")
        .words("metrics-server stamps", "metrics_stamps");
    for cell in &study.cells {
        let (class, state) = match cell.state {
            State::Valid => ("", "valid"),
            State::Invalid => ("invalid", "invalid"),
            State::Failed => ("failed", "failed"),
        };
        let mut remarks = cell.reasons.clone();
        // The lab says so itself since it knows.
        if is_open(&cell.values) && !remarks.iter().any(|text| text.contains("explanation")) {
            remarks.push("more than 5 % of what was taken has no explanation".to_owned());
        }
        let mut row = vec![
            Cell::whole(u64::from(cell.order) + 1),
            Cell::words(&title_of(study, cell)),
            Cell::whole(u64::from(cell.pods)),
            Cell::whole(u64::from(cell.repetition)),
        ];
        if is_known {
            row.push(Cell::words(cell.containerd.as_deref().unwrap_or_default()));
        }
        row.extend([
            Cell::words(state),
            Cell::words(&shorten(&remarks.join("; "), 600)),
            Cell::words(&triple(cell.meminfo_samples)),
            Cell::words(&triple(cell.metrics_stamps)),
        ]);
        table.row(class, row);
    }
    for missing in &study.missing {
        let mut row = vec![
            Cell {
                text: crate::format::NONE.to_owned(),
                raw: vec![String::new()],
                ..Cell::default()
            },
            Cell::words(&study.systems[missing.system].title),
            Cell::whole(u64::from(missing.pods)),
            Cell::whole(u64::from(missing.repetition)),
        ];
        row.extend(is_known.then(|| Cell::words("")));
        row.extend([
            Cell::words("missing"),
            Cell::words("planned, but not in the run"),
            Cell::words(""),
            Cell::words(""),
        ]);
        table.row("failed", row);
    }
    table
}

fn triple(numbers: [usize; 3]) -> String {
    numbers.map(|number| number.to_string()).join(" / ")
}

fn title_of(study: &Study, cell: &CellFigures) -> String {
    let system = study.systems.iter().find(|system| cell.is_of(system));
    system.map_or_else(|| cell.runtime.clone(), |system| system.title.clone())
}

/// Every number of every cell; only as CSV.
pub fn cell_values(study: &Study) -> Table {
    let mut table = Table::new("cell-values", "Every number of every cell", "")
        .words("Cell", "cell")
        .words("Runtime", "runtime")
        .words("Workload", "workload")
        .number("Pods", "", "pods")
        .number("Repetition", "", "repetition")
        .words("Used", "used");
    let has = |measure: Measure| study.cells.iter().any(|cell| cell.values.contains_key(&measure));
    let shown = |measure: &&Measure| !is_of_arrival(**measure) || has(**measure);
    let measures: Vec<Measure> = Measure::ALL.iter().filter(shown).copied().collect();
    for measure in &measures {
        let unit = match measure.unit() {
            Unit::BytesPerPod => "bytes",
            Unit::Nanoseconds => "ns",
        };
        table = table.number(measure.key(), unit, measure.key());
    }
    for cell in &study.cells {
        let mut row = vec![
            Cell::words(&cell.id),
            Cell::words(&cell.runtime),
            Cell::words(&cell.workload),
            Cell::whole(u64::from(cell.pods)),
            Cell::whole(u64::from(cell.repetition)),
            Cell::words(if cell.state == State::Valid { "yes" } else { "no" }),
        ];
        for measure in &measures {
            row.push(Cell::number(cell.values.get(measure).copied(), |value| value.to_string()));
        }
        table.row("", row);
    }
    table
}

/// What is wrong with the run directory.
pub fn defects(study: &Study) -> Option<Table> {
    let mut table = Table::new("defects", "Defects of the run directory", "")
        .words("File", "file")
        .words("Line", "line")
        .words("Defect", "defect");
    for defect in study.defects.iter().take(200) {
        let line = defect.line.map_or_else(String::new, |line| line.to_string());
        table.row(
            "failed",
            vec![Cell::code(&defect.path), Cell::words(&line), Cell::words(&defect.text)],
        );
    }
    (!table.rows.is_empty()).then_some(table)
}

/// `7 of 9 cells are valid; …`: the counts that a reader sees first.
pub fn counts(study: &Study) -> String {
    let of = |state| study.cells.iter().filter(|cell| cell.state == state).count();
    let all = count(study.cells.len() + study.missing.len(), "cell", "cells");
    let mut parts = vec![format!("{} of {all} valid", of(State::Valid))];
    for (number, word) in [
        (of(State::Invalid), "invalid"),
        (of(State::Failed), "failed"),
        (study.missing.len(), "missing"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.join(", ")
}
