//! What a run shows, in sentences; a loss is said as plainly as a win.

use crate::format::{MB, fixed, join, mb, ms};
use crate::group::{Group, Ratio};
use crate::measure::Measure;
use crate::stats::Spread;
use crate::study::{Study, by_density};

/// Whether ours is ahead by a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Lowest of all.
    Ahead,
    /// Someone takes less.
    Behind,
    /// The interval of the decisive ratio includes 1.
    Level,
    /// Nothing to compare.
    Open,
}

impl Standing {
    /// Word for it, also the class in the page.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Level => "level",
            Self::Open => "open",
        }
    }
}

/// A sentence on one measure at one density.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How ours stands.
    pub standing: Standing,
    /// The sentence.
    pub text: String,
}

/// What the run shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence.
    pub headline: String,
    /// One sentence per density and measure.
    pub findings: Vec<Finding>,
}

/// Measures that decide, with their names.
const DECISIVE: [(Measure, &str); 4] = [
    (Measure::FreePaper, "Memory by free"),
    (Measure::AvailableBracket, "Memory by available"),
    (Measure::NodeMetrics, "Memory by metrics-server"),
    (Measure::StartLast, "Time to start all pods"),
];

/// Puts the numbers of `study` into words.
pub fn verdict(study: &Study) -> Verdict {
    let mut findings = Vec::new();
    for groups in by_density(&study.groups).values() {
        for (measure, title) in DECISIVE {
            if measure == Measure::StartLast && study.environment.emulated {
                continue;
            }
            findings.extend(finding(study, groups, measure, title));
        }
    }
    Verdict { headline: headline(study), findings }
}

fn headline(study: &Study) -> String {
    if study.valid_cells() == 0 {
        return "No cell of this run is valid: it measures nothing.".to_owned();
    }
    let Some(ours) = study.systems.iter().position(|system| system.ours) else {
        return "None of this project's systems is in this run: the figures stand alone."
            .to_owned();
    };
    let title = &study.systems[ours].title;
    let best = study.groups.iter().rev().find_map(|group| {
        Some((group, group.median(Measure::FreePaper)?)).filter(|_| group.key.system == ours)
    });
    let Some((group, bytes)) = best else {
        return format!("No cell of {title} is valid: there is nothing to compare with.");
    };
    let others: Vec<(f64, &str)> = study
        .groups
        .iter()
        .filter(|other| other.key.pods == group.key.pods && other.key.system != ours)
        .filter(|other| is_rival(study, other, ours))
        .filter_map(|other| {
            let ratio = other.ratios.get(&Measure::FreePaper)?;
            Some((ratio.ratio, study.systems[other.key.system].title.as_str()))
        })
        .collect();
    let compared = compared(others);
    // First of all: no reader shall take such a run for one on a real processor.
    let place = if study.environment.emulated { "On an emulated processor, at" } else { "At" };
    format!(
        "{place} {} pods, a pod of {title} takes {} MB of free memory{compared}.",
        group.key.pods,
        mb(bytes)
    )
}

/// Three systems are named, of more only the lowest and the highest.
fn compared(mut others: Vec<(f64, &str)>) -> String {
    let words = |other: &(f64, &str)| format!("{} {} times", other.1, fixed(other.0, 2));
    if others.len() <= 3 {
        let all: Vec<String> = others.iter().map(words).collect();
        return if all.is_empty() { String::new() } else { format!("; {} as much", join(&all)) };
    }
    others.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (Some(low), Some(high)) = (others.first(), others.last()) else { return String::new() };
    format!(
        "; of {} others, {} as much is the lowest and {} the highest",
        others.len(),
        words(low),
        words(high)
    )
}

/// A control, pause alone or a native process, is a floor and no rival; nor is a system whose pods
/// arrive at another rate than ours.
fn is_rival(study: &Study, group: &Group, ours: usize) -> bool {
    let system = &study.systems[group.key.system];
    system.language != "native" && system.arrival == study.systems[ours].arrival
}

/// Medians of `measure` in ascending order.
fn ranked<'a>(groups: &[&'a Group], measure: Measure) -> Vec<(&'a Group, f64)> {
    let mut ranked: Vec<(&Group, f64)> =
        groups.iter().filter_map(|&group| Some((group, group.median(measure)?))).collect();
    ranked.sort_by(|left, right| left.1.total_cmp(&right.1));
    ranked
}

fn finding(study: &Study, groups: &[&Group], measure: Measure, title: &str) -> Option<Finding> {
    let ours = study.systems.iter().position(|system| system.ours)?;
    let rivals: Vec<&Group> =
        groups.iter().copied().filter(|group| is_rival(study, group, ours)).collect();
    let ranked = ranked(&rivals, measure);
    let place = ranked.iter().position(|(group, _)| group.key.system == ours)?;
    let (group, value) = ranked[place];
    let name = |group: &Group| study.systems[group.key.system].title.as_str();
    let head = format!("{title}, {} pods: {}", group.key.pods, name(group));
    if ranked.len() == 1 {
        let text =
            format!("{head} takes {}; no other system has a valid cell.", amount(measure, value));
        return Some(Finding { standing: Standing::Open, text });
    }
    let rival = if place == 0 { ranked[1].0 } else { ranked[0].0 };
    let ratio = rival.ratios.get(&measure);
    let standing = match ratio.map(|ratio| ratio.spread) {
        Some(Spread::Interval { low, high }) if low <= 1.0 && 1.0 <= high => Standing::Level,
        _ if place == 0 => Standing::Ahead,
        _ => Standing::Behind,
    };
    let role = match (place, measure == Measure::StartLast) {
        (0, _) => "the next",
        (_, true) => "the fastest",
        (_, false) => "the lowest",
    };
    let against = ratio.map_or_else(String::new, |ratio| ratio_words(ratio, measure));
    let doubt = match standing {
        Standing::Level => "; the interval includes 1, so no difference is shown",
        _ => "",
    };
    let text = format!(
        "{head} is {} of {} with {}; {role}, {}{against}{doubt}.",
        ordinal(place + 1),
        ranked.len(),
        amount(measure, value),
        name(rival),
    );
    Some(Finding { standing, text })
}

fn ratio_words(ratio: &Ratio, measure: Measure) -> String {
    let much = if measure == Measure::StartLast { "as long" } else { "as much" };
    let spread = match ratio.spread {
        Spread::Interval { low, high } => {
            format!(" (95 % interval {} to {})", fixed(low, 2), fixed(high, 2))
        }
        _ => String::new(),
    };
    format!(", takes {} times {much}{spread}", fixed(ratio.ratio, 2))
}

fn amount(measure: Measure, value: f64) -> String {
    match measure {
        Measure::StartLast => format!("{} ms", ms(value)),
        _ => format!("{} MB per pod", fixed(value / MB, 2)),
    }
}

fn ordinal(place: usize) -> String {
    match place {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("number {place}"),
    }
}
