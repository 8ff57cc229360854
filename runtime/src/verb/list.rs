//! `list`: the containers below `--root`.

use super::state::print_json;
use crate::cli::{Global, List, ListFormat};
use crate::container::{Container, report};
use crate::error::{Act, Result};
use std::fs;
use std::io::{self, Write};

/// Prints the list; a container that goes meanwhile is left out.
///
/// # Errors
/// [`crate::error::Error::Os`]: `--root` cannot be read.
pub fn list(global: &Global, flags: &List) -> Result<()> {
    let mut found = Vec::new();
    for id in names(global)? {
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
    let widest = reports.iter().map(|report| report.id.len()).max().unwrap_or(0).max(2);
    let mut lines = vec![format!("{:widest$}  {:>7}  {:8}  BUNDLE", "ID", "PID", "STATUS")];
    lines.extend(reports.iter().map(|report| {
        let (id, bundle) = (report.id, report.bundle.display());
        format!("{id:widest$}  {:>7}  {:8}  {bundle}", report.pid, report.status)
    }));
    print(&lines)
}

fn print(lines: &[String]) -> Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).act(|| "write to stdout".to_owned())
}

fn names(global: &Global) -> Result<Vec<String>> {
    let entries = match fs::read_dir(&global.root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.act(|| format!("read {}", global.root.display()))?,
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
