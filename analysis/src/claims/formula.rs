//! What a claim speaks of, computed from the groups of a study.
//!
//! A value of a system is the median over its repetitions. On a draw of the bootstrap it is the
//! median over the drawn ones, the same for all systems of the claim.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::{Formula, Over, Test};
use super::catalogue::{Catalogue, Claim};
use super::metric::Metric;
use crate::cell_figures::State;
use crate::measure::Measure;
use crate::stats::quantile::median;
use crate::study::Study;

/// How values of a metric are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// Plateau minus before.
    Paper,
    /// Plateau minus the mean of before and after.
    Bracket,
}

/// One value that a claim speaks of: who, against whom, by what, at which densities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combination {
    subject: usize,
    against: Vec<usize>,
    metric: Metric,
    pods: Vec<u32>,
}

/// The combinations of a claim that a run has figures for.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    study: &'a Study,
    test: &'a Test,
    metrics: &'a [Metric],
    /// What can be computed.
    pub combinations: Vec<Combination>,
    /// What the claim speaks of and the run lacks, in words.
    pub absent: BTreeSet<String>,
}

/// Finds what of `claim` can be computed; `None` for a claim without a test.
pub fn scope<'a>(study: &'a Study, catalogue: &Catalogue, claim: &'a Claim) -> Option<Scope<'a>> {
    let test = claim.test.as_ref()?;
    let mut scope = Scope {
        study,
        test,
        metrics: &claim.metrics,
        combinations: Vec::new(),
        absent: BTreeSet::new(),
    };
    let find = |name: &String, absent: &mut BTreeSet<String>| {
        let named = catalogue.systems.get(name)?;
        let found = catalogue.find(study, name);
        if found.is_none() {
            absent.insert(named.title.clone());
        }
        found
    };
    let metrics =
        if test.formula == Formula::Gap { &claim.metrics[..1] } else { &claim.metrics[..] };
    for name in &claim.subjects {
        let others: Vec<&String> = claim.against.iter().filter(|other| *other != name).collect();
        let subject = find(name, &mut scope.absent);
        let against: Vec<usize> =
            others.iter().filter_map(|other| find(other, &mut scope.absent)).collect();
        let Some(subject) = subject else { continue };
        let lacks_one = against.len() < others.len();
        let enough = against.len() >= 2 && test.formula.bears_gaps(test.bound);
        if test.formula.compares_with_all() && lacks_one && !enough {
            continue;
        }
        for &metric in metrics {
            scope.add(subject, &against, metric, &claim.pods);
        }
    }
    Some(scope)
}

impl<'a> Scope<'a> {
    fn add(&mut self, subject: usize, against: &[usize], metric: Metric, pods: &[u32]) {
        let formula = self.test.formula;
        let several: Vec<Vec<usize>> = if formula.is_pairwise() {
            against.iter().map(|&other| vec![other]).collect()
        } else {
            vec![against.to_vec()]
        };
        let together =
            matches!(formula, Formula::MeanRank | Formula::DensityRatio | Formula::Density);
        for against in several {
            let mut there = Vec::new();
            for &density in pods {
                let systems = against.iter().chain([&subject]);
                let lacks = |&&system: &&usize| !self.has(system, density, metric);
                match systems.filter(lacks).copied().next() {
                    Some(system) => {
                        let title = &self.study.systems[system].title;
                        let words = format!("{title} at {density} pods by {}", metric.name);
                        self.absent.insert(words);
                    }
                    None => there.push(density),
                }
            }
            let combination =
                |pods| Combination { subject, against: against.clone(), metric, pods };
            if formula == Formula::Density {
                self.absent.clear();
                self.combinations.push(combination(Vec::new()));
            } else if together {
                let enough = if formula == Formula::DensityRatio { 2 } else { 1 };
                if there.len() >= enough {
                    self.combinations.push(combination(there));
                }
            } else {
                self.combinations.extend(there.into_iter().map(|pods| combination(vec![pods])));
            }
        }
    }

    fn has(&self, system: usize, pods: u32, metric: Metric) -> bool {
        let measures = if self.test.formula == Formula::Gap { self.metrics } else { &[metric] };
        measures.iter().all(|metric| self.repetitions(system, pods, metric.paper).is_some())
    }

    fn repetitions(&self, system: usize, pods: u32, measure: Measure) -> Option<&'a [(u32, f64)]> {
        let group = self
            .study
            .groups
            .iter()
            .find(|group| group.key.system == system && group.key.pods == pods)?;
        group.values.get(&measure).map(|summary| summary.repetitions.as_slice())
    }

    /// Repetitions that everything the claim speaks of has: the blocks of the bootstrap.
    pub fn blocks(&self) -> Vec<u32> {
        let mut common: Option<BTreeSet<u32>> = None;
        for combination in &self.combinations {
            let metrics = if self.test.formula == Formula::Gap {
                self.metrics
            } else {
                &[combination.metric]
            };
            for &pods in &combination.pods {
                for &system in combination.against.iter().chain([&combination.subject]) {
                    for metric in metrics {
                        let values = self.repetitions(system, pods, metric.paper).unwrap_or(&[]);
                        let held: BTreeSet<u32> = values.iter().map(|value| value.0).collect();
                        common = Some(match common {
                            None => held,
                            Some(common) => common.intersection(&held).copied().collect(),
                        });
                    }
                }
            }
        }
        common.unwrap_or_default().into_iter().collect()
    }

    fn value(
        &self,
        (system, pods): (usize, u32),
        metric: Metric,
        estimator: Estimator,
        drawn: Option<&[u32]>,
    ) -> Option<f64> {
        let measure = match estimator {
            Estimator::Paper => metric.paper,
            Estimator::Bracket => metric.bracket,
        };
        let values = self.repetitions(system, pods, measure)?;
        let chosen: Vec<f64> = match drawn {
            None => values.iter().map(|value| value.1).collect(),
            Some(drawn) => drawn
                .iter()
                .flat_map(|block| values.iter().filter(move |value| value.0 == *block))
                .map(|value| value.1)
                .collect(),
        };
        median(&chosen)
    }

    /// Smallest and largest value over the combinations, or their aggregate twice.
    pub fn evaluate(&self, estimator: Estimator, drawn: Option<&[u32]>) -> Option<(f64, f64)> {
        let values: Vec<f64> = self
            .combinations
            .iter()
            .map(|combination| self.of(combination, estimator, drawn))
            .collect::<Option<_>>()?;
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        let ends = match self.test.over {
            Over::Min => (low, low),
            Over::Max => (high, high),
            Over::Mean => {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                (mean, mean)
            }
            Over::All => (low, high),
        };
        (ends.0.is_finite() && ends.1.is_finite()).then_some(ends)
    }

    fn of(
        &self,
        combination: &Combination,
        estimator: Estimator,
        drawn: Option<&[u32]>,
    ) -> Option<f64> {
        let Combination { subject, against, metric, pods } = combination;
        let at =
            |system: usize, density: u32| self.value((system, density), *metric, estimator, drawn);
        let density = pods.first().copied().unwrap_or(0);
        if self.test.formula == Formula::Density {
            let valid = self.study.cells.iter().filter(|cell| cell.state == State::Valid);
            let of_subject = valid.filter(|cell| cell.is_of(&self.study.systems[*subject]));
            return Some(of_subject.map(|cell| f64::from(cell.pods)).fold(0.0, f64::max));
        }
        let own = at(*subject, density)?;
        let others =
            || against.iter().map(|&other| at(other, density)).collect::<Option<Vec<f64>>>();
        let divided = |over: f64, under: f64| (under > 0.0).then(|| 100.0 * over / under);
        match self.test.formula {
            Formula::Less => others()?.first().and_then(|&other| divided(other - own, other)),
            Formula::More => others()?.first().and_then(|&other| divided(own - other, other)),
            Formula::Difference => Some((own - others()?.first()?) / metric.scale()),
            Formula::Value => Some(own / metric.scale()),
            Formula::Gap => {
                let second = *self.metrics.get(1)?;
                let other = self.value((*subject, density), second, estimator, drawn)?;
                divided(own - other, other)
            }
            Formula::Rank => Some(rank(own, &others()?)),
            Formula::MeanRank => {
                let mean = |system| {
                    let values: Vec<f64> =
                        pods.iter().map(|&pods| at(system, pods)).collect::<Option<_>>()?;
                    Some(values.iter().sum::<f64>() / values.len() as f64)
                };
                let others =
                    against.iter().map(|&other| mean(other)).collect::<Option<Vec<_>>>()?;
                Some(rank(mean(*subject)?, &others))
            }
            Formula::LessThanMean => {
                let others = others()?;
                let mean = (own + others.iter().sum::<f64>()) / (others.len() + 1) as f64;
                divided(mean - own, mean)
            }
            Formula::MoreThanMedian => {
                let mut all = others()?;
                all.push(own);
                let middle = median(&all)?;
                divided(own - middle, middle)
            }
            Formula::FasterThan => {
                Some(others()?.iter().filter(|&&other| other > own).count() as f64)
            }
            Formula::Deviation => self.deviation(*subject, density, *metric),
            Formula::DensityRatio => {
                let (first, last) = ends(pods)?;
                let (first, last) = (at(*subject, first)?, at(*subject, last)?);
                divided(last - first, first)
            }
            Formula::Density => None,
        }
    }

    fn deviation(&self, system: usize, pods: u32, metric: Metric) -> Option<f64> {
        let values = self.repetitions(system, pods, metric.paper)?;
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().map(|value| value.1).sum::<f64>() / values.len() as f64;
        let worst = values.iter().map(|value| (value.1 - mean).abs()).fold(0.0, f64::max);
        Some(worst / metric.scale())
    }

    /// Logarithm of highest to lowest density, a number per repetition, for each combination.
    pub fn log_ratios(&self) -> Vec<Vec<f64>> {
        let of = |combination: &Combination| {
            let (first, last) = ends(&combination.pods)?;
            let measure = combination.metric.paper;
            let low = self.repetitions(combination.subject, first, measure)?;
            let high = self.repetitions(combination.subject, last, measure)?;
            let high: BTreeMap<u32, f64> = high.iter().copied().collect();
            let pairs = low.iter().filter_map(|&(block, value)| {
                let other = *high.get(&block)?;
                (value > 0.0 && other > 0.0).then(|| (other / value).ln())
            });
            Some(pairs.collect::<Vec<f64>>())
        };
        self.combinations.iter().filter_map(of).collect()
    }

    /// The bound of the claim.
    pub fn bound(&self) -> super::bound::Bound {
        self.test.bound
    }

    /// Unit of the claim's values.
    pub fn unit(&self) -> &'static str {
        match self.test.formula {
            Formula::Rank | Formula::MeanRank => "place",
            Formula::FasterThan => "of them",
            Formula::Density => "pods",
            Formula::Value | Formula::Difference | Formula::Deviation => {
                self.metrics.first().map_or("", |metric| metric.unit)
            }
            _ => "%",
        }
    }
}

/// Lowest and highest density.
fn ends(pods: &[u32]) -> Option<(u32, u32)> {
    Some((*pods.iter().min()?, *pods.iter().max()?))
}

fn rank(own: f64, others: &[f64]) -> f64 {
    (1 + others.iter().filter(|&&other| other < own).count()) as f64
}

#[test]
fn ranks_begin_at_one() {
    assert!((rank(1.0, &[2.0, 3.0]) - 1.0).abs() < 1e-12);
    assert!((rank(9.0, &[2.0, 3.0]) - 3.0).abs() < 1e-12);
    assert_eq!(ends(&[100, 10, 400]), Some((10, 400)));
}
