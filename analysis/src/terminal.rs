//! The main table for a terminal. Styles are always in the text; the printer drops them where
//! standard output is no terminal.

use anstyle::{AnsiColor, Style};

use crate::claims::{Judged, Verdict};
use crate::report::prose::{notices, provenance};
use crate::report::run_tables::summary as summary_table;
use crate::report::table::{Row, Table};
use crate::study::Study;
use crate::verdict::{Standing, verdict};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();

/// Title, verdict, machine, table, findings.
pub fn summary(study: &Study) -> String {
    let verdict = verdict(study);
    let mut lines = vec![styled(BOLD, study.run.title.trim()), verdict.headline];
    lines.push(styled(DIM, &machine_line(study)));
    lines.push(styled(DIM, &provenance(study)));
    lines.extend(notices(study).iter().map(|notice| styled(NOTE, notice)));
    lines.push(String::new());
    lines.extend(grid(&summary_table(study)));
    if !verdict.findings.is_empty() {
        lines.push(String::new());
    }
    for finding in verdict.findings {
        let style = match finding.standing {
            Standing::Ahead => GOOD,
            Standing::Behind => BAD,
            Standing::Level | Standing::Open => NOTE,
        };
        let word = format!("{:<7}", finding.standing.word());
        lines.push(format!("{} {}", styled(style, &word), finding.text));
    }
    lines.join("\n") + "\n"
}

/// The verdicts on a run: a line per claim, what did not run in one line at the end.
pub fn verdicts(study: &Study, judged: &[&Judged]) -> Vec<String> {
    let mut lines = vec![styled(BOLD, study.run.title.trim()), styled(DIM, &provenance(study))];
    let machine = machine_line(study);
    lines.push(styled(DIM, &machine));
    lines.extend(notices(study).iter().map(|notice| styled(NOTE, notice)));
    lines.push(String::new());
    for one in judged {
        let style = match one.verdict {
            Verdict::Pass => GOOD,
            Verdict::Fail => BAD,
            Verdict::PassShape | Verdict::Inconclusive => NOTE,
            Verdict::NotRun => DIM,
        };
        let word = styled(style, &format!("{:<12}", one.verdict.word()));
        lines.push(format!("{word} {:<4} {}", one.claim.id, one.claim.text));
        let mut facts = Vec::new();
        if one.measured.is_some() {
            facts.push(format!("measured {}", one.measured_words()));
        }
        if !one.interval_words().is_empty() {
            facts.push(format!("95 % interval {}", one.interval_words()));
        }
        if let Some(test) = one.claim.test.as_ref().filter(|_| one.measured.is_some()) {
            facts.push(format!("test {}", test.text()));
        }
        facts.extend(one.remarks.iter().cloned());
        lines.push(styled(DIM, &format!("{:<18}{}", "", facts.join("; "))));
    }
    lines
}

/// A table with its title and note.
pub fn table(table: &Table) -> Vec<String> {
    let mut lines = vec![styled(BOLD, &table.title), styled(DIM, &table.note), String::new()];
    lines.extend(grid(table));
    lines
}

fn machine_line(study: &Study) -> String {
    let environment = &study.environment;
    let emulated = if environment.emulated { ", emulated" } else { "" };
    format!(
        "{} × {}{emulated}, {}, {} node",
        environment.cpus,
        crate::format::clean(&environment.cpu_model),
        crate::format::gb(environment.memory_bytes),
        crate::format::clean(&environment.provider),
    )
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns side by side, numbers to the right, intervals on a line of their own.
fn grid(table: &Table) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = table.rows.iter().map(|row| &row.cells[index]);
            let cells = cells.map(|cell| length(&cell.text).max(length(&cell.detail)));
            cells.chain([length(&column.head), length(column.unit)]).max().unwrap_or(0)
        })
        .collect();
    let line = |texts: Vec<&str>| {
        let mut parts = Vec::new();
        for ((text, column), width) in texts.iter().zip(&table.columns).zip(&widths) {
            let gap = " ".repeat(width.saturating_sub(length(text)));
            parts.push(if column.number { format!("{gap}{text}") } else { format!("{text}{gap}") });
        }
        parts.join("  ").trim_end().to_owned()
    };
    let heads = line(table.columns.iter().map(|column| column.head.as_str()).collect());
    let units = line(table.columns.iter().map(|column| column.unit).collect());
    let mut lines = vec![styled(BOLD, &heads), styled(DIM, &units)];
    for Row { cells, class } in &table.rows {
        let values = line(cells.iter().map(|cell| cell.text.as_str()).collect());
        let style = match *class {
            "ours" => BOLD,
            "passed" => GOOD,
            "failed" => BAD,
            _ => Style::new(),
        };
        lines.push(styled(style, &values));
        if cells.iter().any(|cell| !cell.detail.is_empty()) {
            let details = line(cells.iter().map(|cell| cell.detail.as_str()).collect());
            lines.push(styled(DIM, &details));
        }
    }
    lines
}
