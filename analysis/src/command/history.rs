//! `history`: the same systems over many runs, oldest first.

use std::cmp::Ordering;

use crate::format::{kb, mb, ms, utc};
use crate::measure::{Measure, Unit};
use crate::report::table::{Cell, Table};
use crate::study::Study;

type Entry = (Measure, &'static str, &'static str, fn(f64) -> String);

/// What is followed over time.
const FOLLOWED: [Entry; 5] = [
    (Measure::FreePaper, "free", "MB per pod", mb),
    (Measure::AvailableBracket, "available", "MB per pod", mb),
    (Measure::NodeMetrics, "metrics-server", "MB per pod", mb),
    (Measure::PartContainerPrivate, "private", "kB", kb),
    (Measure::StartLast, "all pods started", "ms", ms),
];

/// A row per run, system and density.
pub fn history(studies: &[Study]) -> Table {
    let note = "Oldest run first within a system and density; figures with their 95 % intervals.";
    let mut table = Table::new("history", "The same systems over many runs", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods")
        .words("Run", "run")
        .words("Begun", "begun")
        .words("Processor", "processor");
    for (measure, title, unit, _) in FOLLOWED {
        table = table.spread(title, unit, measure.key());
    }
    let mut rows = Vec::new();
    for study in studies {
        rows.extend(study.groups.iter().map(|group| (study, group)));
    }
    let key = |study: &Study, system: usize| {
        let system = &study.systems[system];
        (system.title.clone(), system.workload.clone())
    };
    rows.sort_by(|(left_study, left), (right_study, right)| -> Ordering {
        key(left_study, left.key.system)
            .cmp(&key(right_study, right.key.system))
            .then(left.key.pods.cmp(&right.key.pods))
            .then(left_study.run.begin_ns.cmp(&right_study.run.begin_ns))
            .then(left_study.run.name.cmp(&right_study.run.name))
    });
    for (study, group) in rows {
        let system = &study.systems[group.key.system];
        let mut cells = vec![
            Cell::words(&system.title),
            Cell::whole(u64::from(group.key.pods)),
            Cell::words(&study.run.name),
            Cell::words(&utc(study.run.begin_ns)),
            Cell::words(&study.environment.cpu_model),
        ];
        for (measure, _, _, show) in FOLLOWED {
            let counts = !(study.environment.emulated && measure.unit() == Unit::Nanoseconds);
            cells.push(Cell::summary(group.values.get(&measure).filter(|_| counts), show));
        }
        table.row(if system.ours { "ours" } else { "" }, cells);
    }
    table
}
