//! What a conformance run found: the committed file, and whether another run is worse.

use std::collections::BTreeMap;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};

use crate::tap;

/// All runtimes' results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The test programs' module and version.
    pub suite: String,
    /// The kernel's release and which cgroup version the arena had.
    pub machine: String,
    /// Versions by runtime.
    pub runtimes: BTreeMap<String, String>,
    /// By test, then by runtime.
    pub tests: BTreeMap<String, BTreeMap<String, Outcome>>,
}

/// One program with one runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one word.
    pub verdict: Verdict,
    /// Checks that passed.
    pub passed: u32,
    /// Checks that did not, as the program describes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Reasons for checks that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// Why the program did not come to its end, and its last words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<String>,
}

/// An outcome in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check passed.
    Pass,
    /// A check failed, or the program broke off.
    Fail,
    /// Every check was left out.
    Skip,
}

/// How a test program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// It was killed after this many seconds.
    TimedOut(u64),
}

/// Judges a program by its report, its end and the last line of its stderr. Pure.
pub fn judge(report: tap::Report, end: End, last_words: &str) -> Outcome {
    let planned = report.planned.filter(|planned| *planned != report.seen());
    let broke = match (end, &report.bailed_out, planned) {
        (End::TimedOut(limit_s), _, _) => Some(format!("no end within {limit_s} s")),
        (_, Some(reason), _) => Some(format!("bailed out: {reason}")),
        (End::Exit(status), _, _) if status != 0 => Some(format!("exit status {status}")),
        // Some programs count nothing and only tell an error.
        _ if report.seen() == 0 && !report.errors.is_empty() => Some(report.errors.join("; ")),
        _ if report.seen() == 0 && report.planned.is_none() => Some("no check reported".to_owned()),
        (_, _, Some(planned)) if report.skipped.is_empty() => {
            Some(format!("{} of {planned} checks reported", report.seen()))
        }
        _ => None,
    };
    let broke = broke.map(|why| match last_words {
        "" => why,
        words => format!("{why}: {words}"),
    });
    let verdict = match () {
        () if broke.is_some() || !report.failed.is_empty() => Verdict::Fail,
        () if report.passed == 0 && !report.skipped.is_empty() => Verdict::Skip,
        () => Verdict::Pass,
    };
    Outcome {
        verdict,
        passed: report.passed,
        failed: report.failed,
        skipped: report.skipped,
        broke,
    }
}

/// Programs whose outcome is luck with every runtime: they kill a process that ends by itself.
const LUCK: [&str; 1] = ["pidfile"];

impl Results {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, or not of this form.
    pub fn read(path: &Path) -> Result<Self> {
        let call = || format!("read {}", path.display());
        let text = std::fs::read(path).into_diagnostic().wrap_err_with(call)?;
        serde_json::from_slice(&text).into_diagnostic().wrap_err_with(call)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).into_diagnostic()? + "\n";
        std::fs::write(path, text)
            .into_diagnostic()
            .wrap_err_with(|| format!("write {}", path.display()))
    }

    /// The tests in which `runtime` is worse than in `before`, each with what became worse. Pure.
    pub fn worse_than(&self, before: &Self, runtime: &str) -> Vec<(String, String)> {
        let mut worse = Vec::new();
        for (test, was) in &before.tests {
            let Some(was) = was.get(runtime).filter(|_| !LUCK.contains(&test.as_str())) else {
                continue;
            };
            let now = self.tests.get(test).and_then(|outcomes| outcomes.get(runtime));
            let Some(now) = now else {
                worse.push((test.clone(), "was not run".to_owned()));
                continue;
            };
            if was.verdict != Verdict::Fail && now.verdict == Verdict::Fail {
                let said = now.failed.join("; ") + now.broke.as_deref().unwrap_or_default();
                worse.push((test.clone(), said));
            } else if now.passed < was.passed {
                let text = format!("{} checks passed, {} before", now.passed, was.passed);
                worse.push((test.clone(), text));
            }
        }
        worse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_judged_by_all_they_say() {
        let clean = End::Exit(0);
        for (text, end, words, verdict, broke) in [
            ("ok 1 - a\n1..1\n", clean, "", Verdict::Pass, None),
            ("ok 1 - a\nnot ok 2 - b\n1..2\n", clean, "", Verdict::Fail, None),
            ("ok 1 # SKIP x\n1..1\n", clean, "", Verdict::Skip, None),
            ("ok 1 - a\n1..2\n", clean, "", Verdict::Fail, Some("1 of 2 checks reported")),
            ("", clean, "", Verdict::Fail, Some("no check reported")),
            ("1..0\n", clean, "", Verdict::Pass, None),
            ("  error: \"x\"\n1..0\n", clean, "", Verdict::Fail, Some("x")),
            ("ok 1\n1..1\n", End::Exit(1), "panic", Verdict::Fail, Some("exit status 1: panic")),
            ("ok 1\n", End::TimedOut(9), "", Verdict::Fail, Some("no end within 9 s")),
        ] {
            let outcome = judge(tap::parse(text), end, words);
            assert_eq!((outcome.verdict, outcome.broke.as_deref()), (verdict, broke), "{text:?}");
        }
    }

    #[test]
    fn worse_is_a_lost_check_never_a_new_one() {
        let results = |text: &str| {
            let outcome = judge(tap::parse(text), End::Exit(0), "");
            let tests = BTreeMap::from([("t".to_owned(), BTreeMap::from([("r".into(), outcome)]))]);
            Results { tests, ..Results::default() }
        };
        let (good, bad) = (results("ok 1\nok 2\n"), results("ok 1\nnot ok 2 - why\n"));
        assert_eq!(bad.worse_than(&good, "r"), [("t".to_owned(), "why".to_owned())]);
        assert!(good.worse_than(&bad, "r").is_empty());
        assert_eq!(results("ok 1\n").worse_than(&good, "r").len(), 1);
        assert_eq!(Results::default().worse_than(&good, "r")[0].1, "was not run");
    }
}
