//! `export`: the figures for other programs. So far: Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::claims::table::Verdicts;
use crate::format::clean;
use crate::measure::{Measure, Unit};
use crate::study::Study;

/// The figures of a run in Prometheus' text format, for the textfile collector of its node
/// exporter. Times are seconds there.
///
/// Source: Prometheus, "Exposition formats", text-based format.
pub fn prometheus(study: &Study, verdicts: &Verdicts) -> String {
    let mut text = String::new();
    for &measure in Measure::ALL {
        let (name, divisor) = name(measure);
        let mut lines = String::new();
        let counts = !(study.environment.emulated && measure.unit() == Unit::Nanoseconds);
        for group in study.groups.iter().filter(|_| counts) {
            let Some(summary) = group.values.get(&measure) else { continue };
            let system = &study.systems[group.key.system];
            let ends = summary.spread.ends();
            let values = [
                ("median", Some(summary.median)),
                ("low", ends.map(|ends| ends.0)),
                ("high", ends.map(|ends| ends.1)),
            ];
            for (stat, value) in values {
                let Some(value) = value else { continue };
                let containerd = system.containerd.map(|release| release.to_string());
                let arrival = system.arrival.map(|rate| rate.to_string());
                let pods = group.key.pods.to_string();
                let mut pairs = vec![
                    ("run", study.run.name.as_str()),
                    ("runtime", &system.runtime),
                    ("workload", &system.workload),
                ];
                pairs.extend(containerd.as_deref().map(|release| ("containerd", release)));
                pairs.extend(arrival.as_deref().map(|rate| ("arrival", rate)));
                pairs.extend([("pods", pods.as_str()), ("stat", stat)]);
                let labels = labels(&pairs);
                let _infallible = writeln!(lines, "{name}{labels} {}", value / divisor);
            }
        }
        if !lines.is_empty() {
            let help = "Median over the repetitions, and the ends of its interval.";
            let _infallible = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{lines}");
        }
    }
    text.push_str(&cells(study));
    text.push_str("# HELP wamr_lab_claim Verdict on a claim.\n# TYPE wamr_lab_claim gauge\n");
    for one in verdicts.all() {
        let labels = labels(&[
            ("run", &study.run.name),
            ("claim", &one.claim.id),
            ("verdict", one.verdict.word()),
        ]);
        let _infallible = writeln!(text, "wamr_lab_claim{labels} 1");
    }
    text
}

fn cells(study: &Study) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for cell in &study.cells {
        *counts.entry(format!("{:?}", cell.state).to_lowercase()).or_default() += 1;
    }
    counts.insert("missing".to_owned(), study.missing.len());
    let mut text = String::from(
        "# HELP wamr_lab_cells Cells of the run by what became of them.\n\
         # TYPE wamr_lab_cells gauge\n",
    );
    for (state, count) in counts {
        let labels = labels(&[("run", &study.run.name), ("state", &state)]);
        let _infallible = writeln!(text, "wamr_lab_cells{labels} {count}");
    }
    text
}

fn name(measure: Measure) -> (String, f64) {
    match (measure.unit(), measure.key().strip_suffix("_ns")) {
        (Unit::Nanoseconds, Some(stem)) => (format!("wamr_lab_{stem}_seconds"), 1e9),
        _ => (format!("wamr_lab_{}", measure.key()), 1.0),
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| clean(text).replace('\\', "\\\\").replace('"', "\\\"");
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[test]
fn labels_cannot_end_early() {
    assert_eq!(labels(&[("a", "x\"} 1\n\\")]), "{a=\"x\\\"} 1\u{fffd}\\\\\"}");
    assert_eq!(name(Measure::StartLast).0, "wamr_lab_start_last_seconds");
    assert_eq!(name(Measure::FreePaper).0, "wamr_lab_free_paper_bytes_per_pod");
}
