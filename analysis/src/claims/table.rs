//! Verdicts as tables of the report and lines of the terminal.

use super::catalogue::Catalogue;
use super::judge::{Judged, Verdict, judge};
use crate::format::{NONE, fixed};
use crate::report::table::{Cell, Table};
use crate::stats::Spread;
use crate::study::Study;

/// All verdicts on a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verdicts {
    /// The paper's claims.
    pub paper: Vec<Judged>,
    /// This project's claims.
    pub own: Vec<Judged>,
    /// Where the paper disagrees with itself.
    pub inconsistencies: Vec<super::catalogue::Inconsistency>,
    /// How they were given.
    pub policy: super::catalogue::Policy,
}

impl Verdicts {
    /// Judges all claims of `catalogue`; those of the paper with its tolerance.
    pub fn on(study: &Study, catalogue: &Catalogue) -> Self {
        Self {
            paper: judge(study, catalogue, &catalogue.paper, true),
            own: judge(study, catalogue, &catalogue.own, false),
            inconsistencies: catalogue.inconsistencies.clone(),
            policy: catalogue.policy,
        }
    }

    /// Every claim, the paper's first.
    pub fn all(&self) -> impl Iterator<Item = &Judged> {
        self.paper.iter().chain(&self.own)
    }

    /// `12 PASS, 3 FAIL, …`: how often each verdict was given, the bad ones not last.
    pub fn counts(judged: &[Judged]) -> String {
        let order = [
            Verdict::Pass,
            Verdict::PassShape,
            Verdict::Fail,
            Verdict::Inconclusive,
            Verdict::NotRun,
        ];
        let parts: Vec<String> = order
            .iter()
            .map(|verdict| {
                let count = judged.iter().filter(|one| one.verdict == *verdict).count();
                format!("{count} {}", verdict.word())
            })
            .collect();
        parts.join(", ")
    }
}

impl Judged {
    /// The measured value with its unit.
    pub fn measured_words(&self) -> String {
        words(self.measured, self.unit)
    }

    /// The interval, empty where there is none.
    pub fn interval_words(&self) -> String {
        match self.interval {
            Spread::Interval { low, high } => {
                format!(
                    "{} to {}",
                    fixed(low, decimals(self.unit)),
                    fixed(high, decimals(self.unit))
                )
            }
            _ => String::new(),
        }
    }
}

fn decimals(unit: &str) -> usize {
    match unit {
        "place" | "of them" | "pods" | "kB" => 0,
        _ => 2,
    }
}

fn words(ends: Option<(f64, f64)>, unit: &str) -> String {
    let Some((low, high)) = ends else { return NONE.to_owned() };
    let show = |value| fixed(value, decimals(unit));
    if show(low) == show(high) {
        format!("{} {unit}", show(low))
    } else {
        format!("{} to {} {unit}", show(low), show(high))
    }
}

/// The claims of one side as a table.
pub fn claims(id: &'static str, title: &str, judged: &[Judged], verdicts: &Verdicts) -> Table {
    let policy = verdicts.policy;
    let note = format!(
        "{}. PASS: the bound holds{}, with a chance of error below {} % after Holm's correction \
         over these claims. PASS-SHAPE: the direction holds, the number is another, or a part \
         was not measured. FAIL: the data contradict. INCONCLUSIVE: they cannot say. The \
         interval is that of the value nearest to breaking the bound.",
        Verdicts::counts(judged),
        if id == "claims-paper" {
            format!(" within {} points", fixed(policy.tolerance_points, 0))
        } else {
            String::new()
        },
        fixed(100.0 * policy.alpha, 0),
    );
    let mut table = Table::new(id, title, note)
        .words("Claim", "claim")
        .words("Verdict", "verdict")
        .words("What is claimed", "text")
        .words("Test", "test")
        .range("Measured", "measured")
        .words("With the bracket", "bracket")
        .words("Remarks", "remarks");
    for one in judged {
        let test = one.claim.test.as_ref().map_or("", |test| test.text());
        let mut measured = Cell::words(&one.measured_words());
        measured.detail = one.interval_words();
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let ends = one.interval.ends();
        measured.raw = vec![
            number(one.measured.map(|ends| ends.0)),
            number(one.measured.map(|ends| ends.1)),
            number(ends.map(|ends| ends.0)),
            number(ends.map(|ends| ends.1)),
            one.unit.to_owned(),
            number(one.p_bound),
            number(one.p_direction),
            number(one.p_against),
        ];
        let mut remarks = one.remarks.clone();
        if !one.claim.note.is_empty() {
            remarks.push(one.claim.note.clone());
        }
        let class = match one.verdict {
            Verdict::Fail => "failed",
            Verdict::Pass => "passed",
            _ => "",
        };
        let cells = vec![
            Cell::words(&one.claim.id),
            Cell::words(one.verdict.word()),
            Cell::words(&format!("{} ({})", one.claim.text, one.claim.place)),
            Cell::code(test),
            measured,
            Cell::words(&words(one.bracket.filter(|_| one.measured.is_some()), one.unit)),
            Cell::words(&remarks.join(" · ")),
        ];
        table.row(class, cells);
    }
    table
}

/// Where the paper disagrees with itself.
pub fn inconsistencies(verdicts: &Verdicts) -> Table {
    let note = "Found by reading and by arithmetic; none of them needs a measurement.";
    let mut table = Table::new("inconsistencies", "What in the paper does not agree", note)
        .words("No.", "id")
        .words("Where", "place")
        .words("What", "text");
    for one in &verdicts.inconsistencies {
        table.row("", vec![Cell::words(&one.id), Cell::words(&one.place), Cell::words(&one.text)]);
    }
    table
}
