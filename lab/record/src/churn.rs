//! A run of `wamr-lab churn`: pods that are replaced again and again, and what the node holds
//! meanwhile. Pure.
//!
//! ```text
//! RUN/
//!   manifest.json       as of any run; written of an interrupted one, too
//!   churn.json          what was asked for, and each system that was measured
//!   environment.json    as of any run
//!   journal.ndjson      as of any run
//!   series/NAME.csv     one system: a line per figure and reading
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file that tells a run of this kind from any other.
pub const NAME: &str = "churn.json";

/// The first line of a file of readings.
pub const HEAD: &str = "taken_ns,starts,subject,figure,value";

/// `churn.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// Pods at once.
    pub pods: u32,
    /// Pods that are replaced together.
    pub replaced: u32,
    /// Starts of containers that were asked for, of each system.
    pub starts: u32,
    /// False if the run was broken off: the readings so far are there.
    pub complete: bool,
    /// Daemons that were asked to collect their heap before each reading.
    pub collected: Vec<String>,
    /// The systems in the order in which they were measured, each on a node of its own.
    pub systems: Vec<ChurnSystem>,
}

/// A system of [`Churn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChurnSystem {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// The runtime's name as figures print it.
    pub title: String,
    /// Which workload image ran.
    pub workload: String,
    /// Version of the containerd that ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<String>,
    /// True if this project builds the runtime.
    pub ours: bool,
    /// True if this project builds the shim, too.
    pub shim_is_ours: bool,
    /// Its readings, relative to the run directory.
    pub file: String,
    /// Starts that were reached.
    pub starts: u32,
    /// When its first pods were asked for.
    pub begin_ns: i64,
    /// When the last reading was taken.
    pub end_ns: i64,
}

/// A line of a file of readings: one figure at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChurnReading {
    /// When the lab took it.
    pub taken_ns: i64,
    /// Containers that had been started by then.
    pub starts: u32,
    /// What it is about: a daemon, `shim`, `containers`, `node`, `kernel`, `machine`.
    pub subject: String,
    /// What was read; its name ends in `_bytes` if it is memory, else it is a count.
    pub figure: String,
    /// The value.
    pub value: u64,
}

impl ChurnReading {
    /// The line, without its end.
    pub fn line(&self) -> String {
        let Self { taken_ns, starts, subject, figure, value } = self;
        format!("{taken_ns},{starts},{subject},{figure},{value}")
    }

    /// Parses a line; `None` if it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [taken_ns, starts, subject, figure, value] = fields.as_slice() else { return None };
        let is_word = |text: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !text.is_empty() && text.len() <= 64 && text.bytes().all(known)
        };
        (is_word(subject) && is_word(figure)).then_some(())?;
        Some(Self {
            taken_ns: taken_ns.parse().ok()?,
            starts: starts.parse().ok()?,
            subject: (*subject).to_owned(),
            figure: (*figure).to_owned(),
            value: value.parse().ok()?,
        })
    }
}

/// What is wrong with a file of readings, and on which line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLine {
    /// The line.
    pub line: usize,
    /// What is wrong there.
    pub text: &'static str,
}

/// Parses the text of a file of readings.
///
/// # Errors
/// The first line that is none, that is there twice, or whose starts went back.
pub fn parse_series(text: &str) -> Result<Vec<ChurnReading>, WrongLine> {
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, head)| head) != Some(HEAD) {
        return Err(WrongLine { line: 1, text: "not the head of a file of readings" });
    }
    let (mut readings, mut seen) = (Vec::<ChurnReading>::new(), BTreeSet::new());
    for (index, line) in lines {
        let wrong = |text| WrongLine { line: index + 1, text };
        let reading = ChurnReading::parse(line).ok_or_else(|| wrong("not a reading"))?;
        if readings.last().is_some_and(|last| last.starts > reading.starts) {
            return Err(wrong("fewer starts than on the line before it"));
        }
        let key = (reading.starts, reading.subject.clone(), reading.figure.clone());
        if !seen.insert(key) {
            return Err(wrong("the figure is there twice"));
        }
        readings.push(reading);
    }
    Ok(readings)
}

/// True if the directory holds a run of this kind.
pub fn is_churn(dir: &Path) -> bool {
    fs::symlink_metadata(dir.join(NAME)).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_its_line() {
        let reading = ChurnReading {
            taken_ns: 7,
            starts: 20,
            subject: "kube-apiserver".to_owned(),
            figure: "pss_bytes".to_owned(),
            value: 4096,
        };
        assert_eq!(reading.line(), "7,20,kube-apiserver,pss_bytes,4096");
        assert_eq!(ChurnReading::parse(&reading.line()), Some(reading));
        for wrong in ["", "7,20,a,b", "7,20,a,b,1,2", "7,-1,a,b,1", "7,20,a b,b,1", "7,20,,b,1"] {
            assert_eq!(ChurnReading::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_of_readings_goes_forward() {
        let parse = |lines: &[&str]| parse_series(&(lines.join("\n") + "\n"));
        let table: &[(&str, &[&str], Result<usize, usize>)] = &[
            ("two", &[HEAD, "1,5,a,b,1", "1,5,a,c,1", "2,9,a,b,1"], Ok(3)),
            ("none", &[HEAD], Ok(0)),
            ("no head", &["1,5,a,b,1"], Err(1)),
            ("torn", &[HEAD, "1,5,a,b,1", "2,9,a"], Err(3)),
            ("back", &[HEAD, "1,5,a,b,1", "2,4,a,b,1"], Err(3)),
            ("twice", &[HEAD, "1,5,a,b,1", "2,5,a,b,1"], Err(3)),
        ];
        for (case, lines, want) in table {
            let got = parse(lines).map(|all| all.len()).map_err(|wrong| wrong.line);
            assert_eq!(got, *want, "{case}");
        }
    }
}
