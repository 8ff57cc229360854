//! What a test program reports in the Test Anything Protocol. Pure.
//!
//! Source: testanything.org, TAP version 13.

/// The counted lines of one program's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// `ok` lines.
    pub passed: u32,
    /// Descriptions of the `not ok` lines.
    pub failed: Vec<String>,
    /// Reasons of the `ok … # SKIP` lines.
    pub skipped: Vec<String>,
    /// The plan's number of tests, if there is a plan.
    pub planned: Option<u32>,
    /// Values of `error:` in diagnostics.
    pub errors: Vec<String>,
    /// `Bail out!` and its reason.
    pub bailed_out: Option<String>,
}

impl Report {
    /// How many tests reported.
    pub fn seen(&self) -> u32 {
        self.passed + (self.failed.len() + self.skipped.len()) as u32
    }
}

/// Counts the lines of `text`; of the diagnostics only errors are kept.
pub fn parse(text: &str) -> Report {
    let mut report = Report::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("not ok") {
            let (description, directive) = split(rest);
            match directive {
                // A test that is expected to fail counts as passed.
                Some(directive) if starts(directive, "todo") => report.passed += 1,
                _ => report.failed.push(description.to_owned()),
            }
        } else if let Some(rest) = line.strip_prefix("ok") {
            match split(rest) {
                (description, Some(directive)) if starts(directive, "skip") => {
                    let reason = directive[4..].trim();
                    let reason = if reason.is_empty() { description } else { reason };
                    report.skipped.push(reason.to_owned());
                }
                _ => report.passed += 1,
            }
        } else if let Some(plan) = line.strip_prefix("1..") {
            let digits = plan.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            // A program may plan 0 at its begin and tell the real number at its end.
            report.planned = report.planned.max(digits.parse().ok());
            if let (_, Some(directive)) = split(plan)
                && starts(directive, "skip")
            {
                report.skipped.push(directive[4..].trim().to_owned());
            }
        } else if let Some(reason) = line.strip_prefix("Bail out!") {
            report.bailed_out = Some(reason.trim().to_owned());
        } else if let Some(error) = line.trim_start().strip_prefix("error:") {
            report.errors.push(error.trim().trim_matches('"').to_owned());
        }
    }
    report
}

/// `" 3 - does this # SKIP that"` as `("does this", Some("SKIP that"))`.
fn split(rest: &str) -> (&str, Option<&str>) {
    let rest = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.trim_start().trim_start_matches('-').trim_start();
    match rest.split_once('#') {
        Some((description, directive)) => (description.trim(), Some(directive.trim())),
        None => (rest.trim(), None),
    }
}

fn starts(directive: &str, word: &str) -> bool {
    directive.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_counted() {
        let text = "TAP version 13\nok 1 - a\nnot ok 2 - b c\n  ---\n  error: no\n  ...\n\
                    ok 3 # SKIP no kernel\nnot ok 4 - later # todo soon\nok\n1..5\nnoise\n";
        let report = parse(text);
        assert_eq!((report.passed, report.planned, report.seen()), (3, Some(5), 5));
        assert_eq!((report.failed, report.errors), (vec!["b c".into()], vec!["no".into()]));
        assert_eq!(report.skipped, ["no kernel"]);
    }

    #[test]
    fn whole_programs_can_be_skipped_or_bail_out() {
        let report = parse("1..0 # skip: needs apparmor\nBail out! broken\n");
        assert_eq!(report.planned, Some(0));
        assert_eq!(report.skipped, [": needs apparmor"]);
        assert_eq!(report.bailed_out.as_deref(), Some("broken"));
        assert_eq!(parse(""), Report::default());
    }
}
