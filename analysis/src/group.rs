//! Repetitions of one system at one density, and how they compare with ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wamr_record::experiment::Experiment;

use crate::cell_figures::{CellFigures, State};
use crate::measure::Measure;
use crate::stats::Spread;
use crate::stats::bootstrap::spread;
use crate::stats::quantile::median;
use crate::system::System;

/// A system at a density. Orders by density, then by the tables' order of systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// Pods.
    pub pods: u32,
    /// Index of the system.
    pub system: usize,
}

/// All repetitions of a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common.
    #[serde(flatten)]
    pub key: Key,
    /// Cells that count.
    pub valid: usize,
    /// Cells that were measured but do not count.
    pub invalid: usize,
    /// Cells whose pods did not start.
    pub failed: usize,
    /// Cells that the plan asks for and the run does not hold.
    pub missing: usize,
    /// One summary per measure that at least one valid cell has.
    pub values: BTreeMap<Measure, Summary>,
    /// The same relative to ours at the same density; empty for ours.
    pub ratios: BTreeMap<Measure, Ratio>,
}

impl Group {
    /// Median of `measure` over the repetitions.
    pub fn median(&self, measure: Measure) -> Option<f64> {
        self.values.get(&measure).map(|summary| summary.median)
    }

    /// Cells that were planned or measured.
    pub fn all(&self) -> usize {
        self.valid + self.invalid + self.failed + self.missing
    }
}

/// A measure over the repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Middle repetition.
    pub median: f64,
    /// How far it may be off.
    pub spread: Spread,
    /// Each repetition with its value.
    pub repetitions: Vec<(u32, f64)>,
}

/// How many times ours a system takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// Its median divided by ours.
    pub ratio: f64,
    /// How far that may be off, drawn jointly from repetitions that both have.
    pub spread: Spread,
}

/// Measures that are compared with ours.
const COMPARED: [Measure; 6] = [
    Measure::FreePaper,
    Measure::AvailableBracket,
    Measure::NodeMetrics,
    Measure::PodMetrics,
    Measure::StartLast,
    Measure::StartP50,
];

fn valid_cells<'a>(
    key: Key,
    systems: &'a [System],
    cells: &'a [CellFigures],
) -> impl Iterator<Item = &'a CellFigures> {
    let of_key =
        move |cell: &&CellFigures| cell.pods == key.pods && cell.is_of(&systems[key.system]);
    cells.iter().filter(of_key).filter(|cell| cell.state == State::Valid)
}

/// Puts the repetitions of `key` together.
pub fn group(
    key: Key,
    systems: &[System],
    cells: &[CellFigures],
    experiment: &Experiment,
) -> Group {
    let system = &systems[key.system];
    let of_key: Vec<&CellFigures> =
        cells.iter().filter(|cell| cell.pods == key.pods && cell.is_of(system)).collect();
    let count = |state| of_key.iter().filter(|cell| cell.state == state).count();
    let there: BTreeSet<u32> = of_key.iter().map(|cell| cell.repetition).collect();
    let planned = experiment.densities.contains(&key.pods) && system.is_planned(experiment);
    let wanted = if planned { experiment.repetitions as usize } else { 0 };
    let held =
        there.iter().filter(|&&repetition| (1..=experiment.repetitions).contains(&repetition));
    let mut values = BTreeMap::new();
    for &measure in Measure::ALL {
        let repetitions = by_repetition(key, systems, cells, measure);
        if let Some(summary) = summary(&repetitions) {
            values.insert(measure, summary);
        }
    }
    Group {
        key,
        valid: count(State::Valid),
        invalid: count(State::Invalid),
        failed: count(State::Failed),
        missing: wanted.saturating_sub(held.count()),
        values,
        ratios: BTreeMap::new(),
    }
}

fn by_repetition(
    key: Key,
    systems: &[System],
    cells: &[CellFigures],
    measure: Measure,
) -> Vec<(u32, f64)> {
    let mut values: Vec<(u32, f64)> = valid_cells(key, systems, cells)
        .filter_map(|cell| Some((cell.repetition, *cell.values.get(&measure)?)))
        .collect();
    values.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    values
}

fn summary(repetitions: &[(u32, f64)]) -> Option<Summary> {
    let values: Vec<f64> = repetitions.iter().map(|&(_, value)| value).collect();
    let blocks =
        |drawn: &[usize]| median(&drawn.iter().map(|&block| values[block]).collect::<Vec<_>>());
    Some(Summary {
        median: median(&values)?,
        spread: spread(values.len(), blocks),
        repetitions: repetitions.to_vec(),
    })
}

/// Fills in the ratios to the first of our systems at the same density.
pub fn ratios(groups: &mut [Group], systems: &[System], cells: &[CellFigures]) {
    let Some(ours) = systems.iter().position(|system| system.ours) else { return };
    for group in groups.iter_mut().filter(|group| group.key.system != ours) {
        let our_key = Key { pods: group.key.pods, system: ours };
        for measure in COMPARED {
            let theirs = by_repetition(group.key, systems, cells, measure);
            let own = by_repetition(our_key, systems, cells, measure);
            if let Some(ratio) = ratio(&theirs, &own) {
                group.ratios.insert(measure, ratio);
            }
        }
    }
}

fn ratio(theirs: &[(u32, f64)], ours: &[(u32, f64)]) -> Option<Ratio> {
    let of = |values: &[(u32, f64)], chosen: &[u32]| {
        let drawn = chosen.iter().flat_map(|repetition| {
            values.iter().filter(move |value| value.0 == *repetition).map(|value| value.1)
        });
        median(&drawn.collect::<Vec<f64>>())
    };
    // A ratio to nothing or less than nothing says nothing.
    let divided = |over: f64, under: f64| (under > 0.0).then(|| over / under);
    let all =
        |values: &[(u32, f64)]| median(&values.iter().map(|value| value.1).collect::<Vec<_>>());
    let both: Vec<u32> = theirs
        .iter()
        .map(|value| value.0)
        .filter(|repetition| ours.iter().any(|value| value.0 == *repetition))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    Some(Ratio {
        ratio: divided(all(theirs)?, all(ours)?)?,
        spread: spread(both.len(), |drawn| {
            let chosen: Vec<u32> = drawn.iter().map(|&block| both[block]).collect();
            divided(of(theirs, &chosen)?, of(ours, &chosen)?)
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_drawn_from_repetitions_that_both_have() {
        let ours = [(1, 2.0), (2, 4.0), (3, 8.0)];
        let theirs = [(1, 6.0), (2, 12.0), (3, 24.0), (4, 1000.0)];
        let found = ratio(&theirs[..3], &ours).unwrap();
        assert!((found.ratio - 3.0).abs() < 1e-12);
        // Every block has the same ratio, so drawing them jointly leaves no spread.
        assert_eq!(found.spread, Spread::Interval { low: 3.0, high: 3.0 });
        let more = ratio(&theirs, &ours).unwrap();
        assert!((more.ratio - 4.5).abs() < 1e-12);
        assert_eq!(more.spread, found.spread);
    }

    #[test]
    fn a_ratio_to_nothing_is_none() {
        assert_eq!(ratio(&[(1, 1.0)], &[(1, 0.0)]), None);
        assert_eq!(ratio(&[(1, 1.0)], &[(1, -2.0)]), None);
        assert_eq!(ratio(&[], &[(1, 1.0)]), None);
        assert_eq!(ratio(&[(1, 1.0)], &[(2, 2.0)]).unwrap().spread, Spread::Single);
    }
}
