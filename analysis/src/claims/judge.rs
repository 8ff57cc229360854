//! Verdicts: a bound is kept, only the direction is, neither is, or the data cannot say.

use serde::Serialize;

use super::bound::{Bound, Formula, Over};
use super::catalogue::{Catalogue, Claim, Kind, Policy};
use super::formula::{Estimator, Scope, scope};
use crate::stats::bootstrap::{MIN_BLOCKS, draws, interval};
use crate::stats::{Spread, equivalence, holm};
use crate::study::Study;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    /// The bound holds, and the data say so.
    Pass,
    /// The direction holds; the number is another, or a part of the claim was not measured.
    PassShape,
    /// The data contradict it.
    Fail,
    /// The interval includes both.
    Inconclusive,
    /// Not measured, or nothing that figures can tell.
    NotRun,
}

impl Verdict {
    /// The word in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::PassShape => "PASS-SHAPE",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::NotRun => "NOT-RUN",
        }
    }
}

/// A claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The claim.
    pub claim: Claim,
    /// What became of it.
    pub verdict: Verdict,
    /// Smallest and largest value, as the paper estimates; equal where it is one.
    pub measured: Option<(f64, f64)>,
    /// Interval of the value that is nearest to breaking the bound.
    pub interval: Spread,
    /// The same value with the bracket.
    pub bracket: Option<(f64, f64)>,
    /// Unit of the values.
    pub unit: &'static str,
    /// Corrected chance of such data if the bound did not hold.
    pub p_bound: Option<f64>,
    /// Corrected chance of such data if the direction did not hold.
    pub p_direction: Option<f64>,
    /// Corrected chance of such data if the direction did hold.
    pub p_against: Option<f64>,
    /// Why not run, what is missing, remarks.
    pub remarks: Vec<String>,
}

/// Chances before they are corrected, and what decides besides them.
#[derive(Debug, Default, Clone, Copy)]
struct Evidence {
    bound: f64,
    direction: f64,
    against: f64,
    /// The estimate itself keeps the bound.
    kept: bool,
    /// Something of the claim was not measured.
    partial: bool,
}

/// Judges `claims`; they are corrected for being many together.
pub fn judge(
    study: &Study,
    catalogue: &Catalogue,
    claims: &[Claim],
    tolerant: bool,
) -> Vec<Judged> {
    let policy = catalogue.policy;
    let mut all: Vec<(Judged, Option<Evidence>)> = claims
        .iter()
        .map(|claim| {
            one(study, catalogue, claim, if tolerant { policy.tolerance_points } else { 0.0 })
        })
        .collect();
    let corrected = |of: fn(&Evidence) -> f64| {
        let plain: Vec<f64> =
            all.iter().map(|(_, evidence)| evidence.as_ref().map_or(f64::NAN, of)).collect();
        holm::adjusted(&plain)
    };
    let bound = corrected(|evidence| evidence.bound);
    let direction = corrected(|evidence| evidence.direction);
    let against = corrected(|evidence| evidence.against);
    for (index, (judged, evidence)) in all.iter_mut().enumerate() {
        let Some(evidence) = evidence else { continue };
        judged.p_bound = Some(bound[index]);
        judged.p_direction = Some(direction[index]);
        judged.p_against = Some(against[index]);
        judged.verdict = verdict(policy, evidence, bound[index], direction[index], against[index]);
        let test = judged.claim.test.as_ref();
        let is_final = test.is_none_or(|test| test.formula.is_final_in_part());
        judged.verdict = match judged.verdict {
            Verdict::Pass if evidence.partial => Verdict::PassShape,
            Verdict::Fail if evidence.partial && !is_final => Verdict::Inconclusive,
            other => other,
        };
    }
    all.into_iter().map(|(judged, _)| judged).collect()
}

fn verdict(
    policy: Policy,
    evidence: &Evidence,
    bound: f64,
    direction: f64,
    against: f64,
) -> Verdict {
    if evidence.kept && bound < policy.alpha {
        Verdict::Pass
    } else if against < policy.alpha {
        Verdict::Fail
    } else if direction < policy.alpha {
        Verdict::PassShape
    } else {
        Verdict::Inconclusive
    }
}

fn not_run(claim: &Claim, remark: impl Into<String>) -> Judged {
    Judged {
        claim: claim.clone(),
        verdict: Verdict::NotRun,
        measured: None,
        interval: Spread::Single,
        bracket: None,
        unit: "",
        p_bound: None,
        p_direction: None,
        p_against: None,
        remarks: vec![remark.into()],
    }
}

fn one(
    study: &Study,
    catalogue: &Catalogue,
    claim: &Claim,
    tolerance_points: f64,
) -> (Judged, Option<Evidence>) {
    match claim.kind {
        Kind::Probe => return (not_run(claim, "not a matter of figures"), None),
        Kind::Definition => return (not_run(claim, "a definition"), None),
        _ => {}
    }
    let Some(scope) = scope(study, catalogue, claim) else {
        return (not_run(claim, "no test"), None);
    };
    if study.environment.emulated && claim.metrics.iter().any(|metric| metric.is_time()) {
        return (not_run(claim, "the processor was emulated: times do not count"), None);
    }
    let Some(measured) = scope.evaluate(Estimator::Paper, None) else {
        let absent = listed(&scope);
        let words = if absent.is_empty() {
            "a figure is missing or not above zero".to_owned()
        } else {
            format!("without {absent}")
        };
        return (not_run(claim, words), None);
    };
    let mut judged = Judged {
        measured: Some(measured),
        bracket: scope.evaluate(Estimator::Bracket, None),
        unit: scope.unit(),
        remarks: Vec::new(),
        ..not_run(claim, "")
    };
    if !scope.absent.is_empty() {
        judged.remarks.push(format!("without {}", listed(&scope)));
    }
    let partial = !scope.absent.is_empty();
    let evidence = match claim.kind {
        Kind::Information => {
            judged.remarks.push("shown, not judged: it depends on the machine".to_owned());
            return (judged, None);
        }
        Kind::Exact => return (exact(judged, &scope, measured, partial), None),
        Kind::Equivalence => equivalent(&scope),
        _ => sampled(&mut judged, &scope, measured, tolerance_points),
    };
    let Some(evidence) = evidence else {
        judged.verdict = Verdict::Inconclusive;
        let blocks = scope.blocks().len();
        judged.remarks.push(format!(
            "{} in common: no interval below {MIN_BLOCKS}",
            crate::format::count(blocks, "repetition", "repetitions")
        ));
        return (judged, None);
    };
    (judged, Some(Evidence { partial, ..evidence }))
}

fn listed(scope: &Scope<'_>) -> String {
    let mut names: Vec<String> = scope.absent.iter().take(4).cloned().collect();
    if scope.absent.len() > names.len() {
        names.push(format!("{} more", scope.absent.len() - names.len()));
    }
    crate::format::join(&names)
}

fn exact(mut judged: Judged, scope: &Scope<'_>, measured: (f64, f64), partial: bool) -> Judged {
    let Some(test) = &judged.claim.test else { return judged };
    let kept = test.bound.slack(measured, 0.0) >= 0.0;
    let about_repetitions = test.formula == Formula::Deviation;
    judged.verdict = match (kept, partial && about_repetitions) {
        (true, false) => Verdict::Pass,
        (true, true) => Verdict::PassShape,
        // More pods than were tried would perhaps run: that no cell tried is no contradiction.
        (false, _) if test.formula == Formula::Density => {
            judged.remarks.push("no cell tried more".to_owned());
            Verdict::NotRun
        }
        (false, _) => Verdict::Fail,
    };
    if about_repetitions && scope.blocks().len() < MIN_BLOCKS {
        judged.verdict = Verdict::Inconclusive;
        judged.remarks.push(format!("fewer than {MIN_BLOCKS} repetitions"));
    }
    judged
}

fn equivalent(scope: &Scope<'_>) -> Option<Evidence> {
    let bound = scope.margin()?;
    let margins = ((1.0 - bound / 100.0).ln(), (1.0 + bound / 100.0).ln());
    let mut worst = Evidence { kept: true, ..Evidence::default() };
    let series = scope.log_ratios();
    if series.is_empty() {
        return None;
    }
    for differences in series {
        if differences.len() < MIN_BLOCKS {
            return None;
        }
        let found = equivalence::within(&differences, margins)?;
        worst.bound = worst.bound.max(found.p_value());
        worst.kept &= margins.0 < found.mean && found.mean < margins.1;
        // Contradicted if it lies outside of a margin beyond chance; two sides, so twice.
        let outside = (1.0 - found.p_above_low).min(1.0 - found.p_below_high);
        worst.against =
            if worst.against > 0.0 { worst.against.min(2.0 * outside) } else { 2.0 * outside };
    }
    worst.against = worst.against.min(1.0);
    worst.direction = worst.bound;
    Some(worst)
}

fn sampled(
    judged: &mut Judged,
    scope: &Scope<'_>,
    measured: (f64, f64),
    tolerance_points: f64,
) -> Option<Evidence> {
    let test = judged.claim.test.clone()?;
    let blocks = scope.blocks();
    if blocks.len() < MIN_BLOCKS {
        return None;
    }
    let bound = test.bound;
    let tolerance =
        if test.formula.is_percent() && has_number(bound) { tolerance_points } else { 0.0 };
    let drawn = |of: &dyn Fn((f64, f64)) -> f64| {
        draws(blocks.len(), |chosen| {
            let chosen: Vec<u32> = chosen.iter().map(|&block| blocks[block]).collect();
            scope.evaluate(Estimator::Paper, Some(&chosen)).map(of)
        })
    };
    let critical = |ends: (f64, f64)| match bound {
        Bound::AtMost { .. } => ends.1,
        _ => ends.0,
    };
    let lows = drawn(&critical);
    if lows.is_empty() {
        return None;
    }
    judged.interval = if test.over == Over::All { Spread::Single } else { interval(&lows) };
    let share = |results: &[f64], breaks: bool| {
        let count = results.iter().filter(|&&slack| (slack < 0.0) == breaks).count();
        (count + 1) as f64 / (results.len() + 1) as f64
    };
    let slack = drawn(&|ends| bound.slack(ends, tolerance));
    let direction = match bound.direction(measured) {
        Some(_) if test.formula.is_percent() => {
            drawn(&|ends| bound.direction(ends).unwrap_or(-1.0))
        }
        _ => slack.clone(),
    };
    Some(Evidence {
        bound: share(&slack, true),
        direction: share(&direction, true),
        against: share(&direction, false),
        kept: bound.slack(measured, tolerance) >= 0.0,
        partial: false,
    })
}

/// A percentage other than zero is a number to find again; zero is a mere order.
fn has_number(bound: Bound) -> bool {
    match bound {
        Bound::AtLeast { limit, .. } | Bound::AtMost { limit, .. } | Bound::Equal(limit) => {
            limit.abs() > 0.0
        }
        _ => true,
    }
}

impl Scope<'_> {
    /// The margin of an equivalence test, in percent.
    fn margin(&self) -> Option<f64> {
        match self.bound() {
            Bound::Within(margin) => Some(margin),
            _ => None,
        }
    }
}
