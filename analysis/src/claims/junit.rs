//! Verdicts as JUnit XML, for CI servers.

use std::fmt::Write as _;

use super::judge::{Judged, Verdict};
use crate::format::clean;

/// A test suite per run: a failed claim is a failure; one that could not be judged is skipped.
pub fn xml(runs: &[(String, Vec<&Judged>)]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (run, judged) in runs {
        let count =
            |wanted: &[Verdict]| judged.iter().filter(|one| wanted.contains(&one.verdict)).count();
        let _infallible = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            escape(run),
            judged.len(),
            count(&[Verdict::Fail]),
            count(&[Verdict::Inconclusive, Verdict::NotRun]),
        );
        for one in judged {
            text.push_str(&case(one));
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(one: &Judged) -> String {
    let told = format!(
        "{}; measured {} {}; {}",
        one.claim.text,
        one.measured_words(),
        one.interval_words(),
        one.remarks.join("; ")
    );
    let told = escape(told.trim_end_matches("; "));
    let name = escape(&format!("{} {}", one.claim.id, one.claim.place));
    let inner = match one.verdict {
        Verdict::Pass | Verdict::PassShape => {
            format!("<system-out>{}: {told}</system-out>", one.verdict.word())
        }
        Verdict::Fail => format!("<failure message=\"FAIL\">{told}</failure>"),
        Verdict::Inconclusive | Verdict::NotRun => {
            format!("<skipped message=\"{}: {told}\"/>", one.verdict.word())
        }
    };
    format!("    <testcase classname=\"claims\" name=\"{name}\">{inner}</testcase>\n")
}

fn escape(text: &str) -> String {
    clean(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[test]
fn names_cannot_break_the_xml() {
    let text = xml(&[("a\"<b>&\u{1b}".to_owned(), Vec::new())]);
    assert!(text.contains("name=\"a&quot;&lt;b&gt;&amp;\u{fffd}\""), "{text}");
    assert!(text.contains("tests=\"0\" failures=\"0\" skipped=\"0\""));
}
