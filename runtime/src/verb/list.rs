//! `list`: the containers below `--root`.

use super::state::print_json;
use crate::cli::{Global, List, ListFormat};
use crate::container::{Container, names, report};
use crate::error::{Act, Result};
use std::io::{self, Write};

/// Prints the list; a container that goes meanwhile is left out.
///
/// # Errors
/// [`crate::error::Error::Os`]: `--root` cannot be read.
pub fn list(global: &Global, flags: &List) -> Result<()> {
    let mut found = Vec::new();
    for id in names(&global.root)? {
        let Ok(container) = Container::new(&global.root, &id) else { continue };
        if let Ok(state) = container.state() {
            let status = container.status(&state);
            found.push((state, status));
        }
    }
    if flags.quiet {
        let lines: Vec<_> = found.iter().map(|(state, _)| state.id.clone()).collect();
        return print(&lines);
    }
    let reports: Vec<_> = found.iter().map(|(state, status)| report(state, *status)).collect();
    if flags.format == ListFormat::Json {
        return print_json(&reports);
    }
    let titles = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = reports.iter().map(|report| {
        let bundle = report.bundle.display().to_string();
        let texts = [report.id, report.status, &bundle, report.created, report.owner];
        let [id, status, bundle, created, owner] = texts.map(str::to_owned);
        [id, report.pid.to_string(), status, bundle, created, owner]
    });
    print(&columns(&std::iter::once(titles).chain(rows).collect::<Vec<_>>()))
}

/// Lines in which the texts of each column begin below each other. Pure.
fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn print(lines: &[String]) -> Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).act(|| "write to stdout".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text() {
        let rows = [["ID", "STATUS"], ["a-long-name", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), ["ID           STATUS", "a-long-name  x"]);
    }
}
