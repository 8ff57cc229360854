//! `diff`: two runs side by side, with the interval of how far they differ.

use std::collections::BTreeMap;

use wamr_record::arrival::Arrival;
use wamr_record::release::Release;

use super::Outcome;
use crate::format::{fixed, kb, mb, ms};
use crate::group::{Group, Summary};
use crate::measure::{Measure, Unit};
use crate::report::table::{Cell, Table};
use crate::stats::Spread;
use crate::stats::bootstrap::{MIN_BLOCKS, independent};
use crate::stats::quantile::median;
use crate::study::Study;

type Entry = (Measure, &'static str, fn(f64) -> String);

/// Measures that are compared, with their names and how they are shown.
const COMPARED: [Entry; 6] = [
    (Measure::FreePaper, "free, MB per pod", mb),
    (Measure::AvailableBracket, "available, MB per pod", mb),
    (Measure::NodeMetrics, "metrics-server, MB per pod", mb),
    (Measure::PartContainerPrivate, "private, kB", kb),
    (Measure::PartShim, "shim, MB per pod", mb),
    (Measure::StartLast, "all pods started, ms", ms),
];

/// Two figures whose interval lies within so many percent are the same.
pub const SAME_PERCENT: f64 = 5.0;

/// Exit status when something got worse than the limit allows.
const WORSE: u8 = 3;

/// How the second run stands to the first by one measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Less, beyond chance.
    Less,
    /// More, beyond chance.
    More,
    /// Within the margin, beyond chance.
    Same,
    /// The interval allows more than one of these.
    Unclear,
    /// Too few repetitions for an interval.
    Open,
}

impl Change {
    /// Of a ratio's spread.
    pub fn of(spread: Spread) -> Self {
        let (least, most) = (1.0 - SAME_PERCENT / 100.0, 1.0 + SAME_PERCENT / 100.0);
        match spread {
            Spread::Interval { low, high } if least < low && high < most => Self::Same,
            Spread::Interval { high, .. } if high < 1.0 => Self::Less,
            Spread::Interval { low, .. } if low > 1.0 => Self::More,
            Spread::Interval { .. } => Self::Unclear,
            _ => Self::Open,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::Same => "same",
            Self::Unclear => "unclear",
            Self::Open => "no interval",
        }
    }
}

/// Second divided by first, with the interval over independent draws from both.
fn ratio(first: &Summary, second: &Summary) -> Option<(f64, Spread)> {
    if first.median <= 0.0 {
        return None;
    }
    let values = |summary: &Summary| -> Vec<f64> {
        summary.repetitions.iter().map(|repetition| repetition.1).collect()
    };
    let (left, right) = (values(first), values(second));
    let of = |values: &[f64], chosen: &[usize]| {
        median(&chosen.iter().map(|&block| values[block]).collect::<Vec<_>>())
    };
    let spread = if left.len().min(right.len()) < MIN_BLOCKS {
        Spread::Single
    } else {
        independent(
            (left.len(), |chosen: &[usize]| of(&left, chosen)),
            (right.len(), |chosen: &[usize]| of(&right, chosen)),
            |first, second| (first > 0.0).then(|| second / first),
        )
    };
    Some((second.median / first.median, spread))
}

/// Runtime, workload, release of containerd where several are compared, rate at which pods arrive,
/// and density.
type SystemKey = (String, String, Option<Release>, Option<Arrival>, u32);

/// The groups by what they are of.
fn by_key(study: &Study) -> BTreeMap<SystemKey, &Group> {
    let key = |group: &Group| {
        let system = &study.systems[group.key.system];
        let (runtime, workload) = (system.runtime.clone(), system.workload.clone());
        (runtime, workload, system.containerd, system.arrival, group.key.pods)
    };
    study.groups.iter().map(|group| (key(group), group)).collect()
}

/// Compares `second` with `first`; with a limit, a certain rise above so many percent is status 3.
pub fn diff(first: &Study, second: &Study, limit_percent: Option<f64>) -> (Table, Outcome) {
    let note = format!(
        "Second run against first. Ratio: second divided by first, with the 95 % interval of a \
         bootstrap over the repetitions of each. same: the interval lies within {} %.",
        fixed(SAME_PERCENT, 0)
    );
    let mut table =
        Table::new("diff", format!("{} against {}", second.run.name, first.run.name), note)
            .words("Runtime", "runtime")
            .number("Pods", "", "pods")
            .words("Measure", "measure")
            .spread("First", "", "first")
            .spread("Second", "", "second")
            .spread("Ratio", "", "ratio")
            .words("Change", "change");
    let (left, right) = (by_key(first), by_key(second));
    let emulated = first.environment.emulated || second.environment.emulated;
    let mut worse = 0;
    for (key, group) in &left {
        let Some(other) = right.get(key) else { continue };
        for (measure, title, show) in COMPARED {
            if emulated && measure.unit() == Unit::Nanoseconds {
                continue;
            }
            let pair = group.values.get(&measure).zip(other.values.get(&measure));
            let Some((before, after)) = pair else { continue };
            let ratio = ratio(before, after);
            let change = ratio.map_or(Change::Open, |ratio| Change::of(ratio.1));
            let low = ratio.and_then(|ratio| ratio.1.ends()).map(|ends| ends.0);
            let beyond = |limit: f64| low.is_some_and(|low| low > 1.0 + limit / 100.0);
            worse += usize::from(limit_percent.is_some_and(beyond));
            let class = match change {
                Change::Less => "passed",
                Change::More => "failed",
                _ => "",
            };
            let cells = vec![
                Cell::words(&first.systems[group.key.system].title),
                Cell::whole(u64::from(key.4)),
                Cell::words(title),
                Cell::summary(Some(before), show),
                Cell::summary(Some(after), show),
                Cell::with_spread(ratio, crate::format::times),
                Cell::words(change.word()),
            ];
            table.row(class, cells);
        }
    }
    let mut lines = vec![differences(first, second)];
    for (only, here, there) in [("first", &left, &right), ("second", &right, &left)] {
        let keys = here.keys().filter(|key| !there.contains_key(*key));
        let name = |(runtime, _, _, arrival, pods): &SystemKey| {
            let rate = arrival.map_or_else(String::new, |rate| format!(" at {rate}"));
            format!("{runtime}{rate} at {pods} pods")
        };
        let names: Vec<String> = keys.map(name).collect();
        if !names.is_empty() {
            lines.push(format!("Only in the {only} run: {}.", crate::format::join(&names)));
        }
    }
    if let Some(limit) = limit_percent {
        let words = crate::format::count(worse, "figure is", "figures are");
        lines.push(format!("{words} certainly more than {} % worse.", fixed(limit, 0)));
    }
    lines.retain(|line| !line.is_empty());
    let status = if worse > 0 { WORSE } else { 0 };
    (table, Outcome { text: lines.join("\n") + "\n", status })
}

/// What of the machine differs: then a ratio compares machines.
fn differences(first: &Study, second: &Study) -> String {
    let (left, right) = (&first.environment, &second.environment);
    let facts = [
        ("processor", left.cpu_model.clone(), right.cpu_model.clone()),
        ("processors", left.cpus.to_string(), right.cpus.to_string()),
        ("memory", left.memory_bytes.to_string(), right.memory_bytes.to_string()),
        ("kernel", left.kernel_release.clone(), right.kernel_release.clone()),
        ("node", left.provider.clone(), right.provider.clone()),
        ("emulation", left.emulated.to_string(), right.emulated.to_string()),
        ("cgroups", left.cgroup_mode.clone(), right.cgroup_mode.clone()),
        ("control plane", left.control_plane.clone(), right.control_plane.clone()),
    ];
    let names: Vec<String> =
        facts.iter().filter(|fact| fact.1 != fact.2).map(|fact| fact.0.to_owned()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("The runs were made under other conditions: {} differ.", crate::format::join(&names))
}

#[test]
fn a_change_is_what_its_interval_says() {
    let of = |low, high| Change::of(Spread::Interval { low, high });
    assert_eq!(of(0.99, 1.02), Change::Same);
    assert_eq!(of(0.7, 0.9), Change::Less);
    assert_eq!(of(1.1, 1.2), Change::More);
    assert_eq!(of(0.9, 1.2), Change::Unclear);
    assert_eq!(Change::of(Spread::Single), Change::Open);
}
