//! What the tests found with a runtime: the committed file, and whether it is what was expected.

use std::collections::BTreeMap;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};

/// All runtimes' results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The kernel's release and which cgroup version the arena had.
    pub machine: String,
    /// By runtime.
    pub runtimes: BTreeMap<String, Suite>,
}

/// All tests with one runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// The runtime's.
    pub version: String,
    /// Tests that passed.
    pub passed: u32,
    /// What did not, with what it said.
    pub failed: BTreeMap<String, String>,
    /// What was left out, with the reason.
    pub skipped: BTreeMap<String, String>,
}

/// What is said of a test that [`Difference::not_run`] keeps from this runtime.
pub const NOT_RUN: &str = "not run";

/// Characters of a failure that are kept.
const MOST_SAID: usize = 240;

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work.
    Pass,
    /// It did not, and says why.
    Skip(String),
    /// It failed, or had no end.
    Fail(String),
}

/// `privileged.toml`: by runtime and test, a failure that is expected.
pub type Differences = BTreeMap<String, BTreeMap<String, Difference>>;

/// A failure that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What this runtime does otherwise.
    pub why: String,
    /// A race: the test may pass, too.
    #[serde(default)]
    pub sometimes: bool,
    /// It would harm the run itself.
    #[serde(default)]
    pub not_run: bool,
}

/// Reads privileged.toml.
///
/// # Errors
/// Those of TOML.
pub fn differences(text: &str) -> Result<Differences> {
    toml::from_str(text).into_diagnostic().wrap_err("read the expected differences")
}

/// Judges one test by its exit status and what it printed. Pure.
pub fn judge(passed: bool, printed: &str) -> Outcome {
    let mut lines = printed.lines().map(str::trim);
    if passed {
        let reason = lines.find_map(|line| line.strip_prefix("skipped: "));
        return reason.map_or(Outcome::Pass, |reason| Outcome::Skip(reason.to_owned()));
    }
    // The panic's message is behind the line that says where it was: one line, or with the two
    // values that were compared.
    let mut said = lines.skip_while(|line| !line.contains(" panicked at ")).skip(1);
    let first = said.next().unwrap_or("it panicked without a message");
    let values: String = said
        .take_while(|line| line.starts_with("left: ") || line.starts_with("right: "))
        .flat_map(|line| [", ", line])
        .collect();
    Outcome::Fail(first.chars().chain(values.chars()).take(MOST_SAID).collect())
}

impl Suite {
    /// Adds the outcome of the test `name`.
    pub fn add(&mut self, name: String, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Skip(reason) => drop(self.skipped.insert(name, reason)),
            Outcome::Fail(said) => drop(self.failed.insert(name, said)),
        }
    }

    /// The counts in a line.
    pub fn summary(&self, runtime: &str) -> String {
        let (version, passed) = (&self.version, self.passed);
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        format!("{runtime} {version}: {passed} passed, {failed} failed, {skipped} skipped")
    }

    /// What differs from `expected`, a line each. Pure.
    pub fn unexpected(&self, expected: &BTreeMap<String, Difference>) -> Vec<String> {
        let new = self.failed.iter().filter(|(test, _)| !expected.contains_key(*test));
        let new = new.map(|(test, said)| format!("{test} fails: {said}"));
        let always = expected.iter().filter(|(_, difference)| !difference.sometimes);
        let gone = always.filter(|(test, _)| !self.failed.contains_key(*test));
        let gone = gone.map(|(test, _)| format!("{test} does not fail, and is listed to"));
        new.chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_judged_by_its_end_and_its_words() {
        let panic =
            "---- t stdout ----\n\nthread 't' panicked at a.rs:1:2:\nleft != right\n  left: 1\n";
        for (passed, printed, want) in [
            (true, "test t ... ok\n", Outcome::Pass),
            (true, "test t ... ok\nskipped: needs root\n", Outcome::Skip("needs root".into())),
            (false, panic, Outcome::Fail("left != right, left: 1".into())),
            (false, "", Outcome::Fail("it panicked without a message".into())),
        ] {
            assert_eq!(judge(passed, printed), want, "{printed:?}");
        }
    }

    #[test]
    fn a_new_failure_and_one_that_is_gone_are_told() {
        let listed = "[runc.a]\nwhy = 'x'\n[runc.b]\nwhy = 'y'\nsometimes = true\n";
        let expected = &differences(listed).unwrap()["runc"];
        for (failed, want) in [
            (&["a"][..], &[][..]),
            (&["a", "b"], &[]),
            (&["b"], &["a does not fail, and is listed to"]),
            (&["a", "c"], &["c fails: said"]),
        ] {
            let failed = failed.iter().map(|test| ((*test).to_owned(), "said".to_owned()));
            let suite = Suite { failed: failed.collect(), ..Suite::default() };
            assert_eq!(suite.unexpected(expected), want);
        }
    }
}
