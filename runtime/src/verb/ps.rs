//! `ps`: the processes of a container, as the host's ps(1) shows them.

use super::state::print_json;
use crate::cli::{Global, ListFormat, Ps};
use crate::container::{Container, Status};
use crate::error::{Act, Error, Result};
use std::io::{self, Write};
use std::process::Command;

/// Prints the processes.
///
/// # Errors
/// [`Error::Missing`]; [`Error::Usage`]: ps(1) does not print what was asked for.
pub fn ps(global: &Global, flags: &Ps) -> Result<()> {
    let container = Container::new(&global.root, &flags.id)?;
    let state = container.state()?;
    let mut pids = state.cgroup.processes()?;
    // Without a group of its own only the first process is known to be the container's.
    if state.cgroup.process_directory().is_none() && container.status(&state) != Status::Stopped {
        pids.push(state.pid);
    }
    pids.sort_unstable();
    if flags.format == ListFormat::Json {
        return print_json(&pids);
    }
    let default = ["-ef".to_owned()];
    let options = if flags.options.is_empty() { &default[..] } else { &flags.options };
    let output = Command::new("ps").args(options).output().act(|| {
        "run ps: install it (Debian: procps), or use --format json, which needs none".to_owned()
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Usage(format!("ps {}: {}", options.join(" "), said.trim())));
    }
    let text = select(&String::from_utf8_lossy(&output.stdout), &pids)?;
    io::stdout().write_all(text.as_bytes()).act(|| "write to stdout".to_owned())
}

/// The first line of ps's `text`, and those whose column PID is one of `pids`. Pure.
fn select(text: &str, pids: &[i32]) -> Result<String> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|title| title == "PID").ok_or_else(|| {
        Error::Usage("ps printed no column PID: choose options that have one".to_owned())
    })?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    let kept = std::iter::once(header).chain(lines.filter(ours));
    Ok(kept.flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_their_pid() {
        let text = "UID  PID  PPID CMD\nroot   1     0 init 7\nroot   7     1 sh 1\nu 77 7 x\n";
        assert_eq!(select(text, &[7]).unwrap(), "UID  PID  PPID CMD\nroot   7     1 sh 1\n");
        assert_eq!(select(text, &[]).unwrap().lines().count(), 1);
        assert!(select("USER CMD\n", &[1]).unwrap_err().to_string().contains("column PID"));
    }
}
