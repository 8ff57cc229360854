//! docs/conformance.md from the committed results and the reasons for what fails. Pure.

use std::collections::BTreeMap;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Deserialize;

use super::record::{Outcome, Results, Verdict};

/// The runtime that the page is about; every failure of it needs a reason.
const OURS: &str = "wamr-crun";

/// `reasons.toml`: by test, why `wamr-crun` does not pass it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Whether the test asks for something that does not apply here.
    #[serde(default)]
    not_applicable: bool,
    /// In a sentence.
    why: String,
}

/// Reads reasons.toml.
///
/// # Errors
/// Those of TOML.
pub fn reasons(text: &str) -> Result<BTreeMap<String, Reason>> {
    toml::from_str(text).into_diagnostic().wrap_err("read the reasons")
}

/// The page.
///
/// # Errors
/// A failure without a reason, or a reason without a failure.
pub fn render(results: &Results, reasons: &BTreeMap<String, Reason>) -> Result<String> {
    let ours = |test: &String| results.tests.get(test).and_then(|outcomes| outcomes.get(OURS));
    let fails = |test: &String| ours(test).is_some_and(|it| it.verdict != Verdict::Pass);
    if let Some(test) =
        results.tests.keys().find(|test| fails(test) && !reasons.contains_key(*test))
    {
        return Err(miette!("{test} does not pass with {OURS}, and no reason is given"));
    }
    if let Some(test) = reasons.keys().find(|test| !fails(test)) {
        return Err(miette!("a reason is given for {test}, which passes with {OURS}"));
    }
    let mut names: Vec<&String> = results.runtimes.keys().filter(|name| *name != OURS).collect();
    names.insert(0, results.runtimes.get_key_value(OURS).map_or(&results.suite, |(name, _)| name));
    let mut page = head(results, &names);
    for (test, outcomes) in &results.tests {
        let cells = names.iter().map(|name| cell(test, outcomes.get(*name), reasons));
        page.push(format!("| {test} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    page.push("\n## What wamr-crun does not pass, and why\n\n".to_owned());
    for (test, reason) in reasons {
        let others: Vec<_> =
            names[1..].iter().map(|name| verdict_of(results, test, name)).collect();
        page.push(format!("- **{test}** ({}): {}\n", others.join(", "), reason.why));
    }
    Ok(page.concat())
}

fn head(results: &Results, names: &[&String]) -> Vec<String> {
    let mut page = vec![format!(
        "# Conformance\n\nMade by `make conformance-page` from \
         [data/conformance/results.json](../data/conformance/results.json),\nwhich \
         `make conformance` writes.\n\nThe validation programs of\n{},\neach run with each runtime \
         in the same namespaces, root file system and control groups\n({}).\n\n\
         pass: every check passed; fail: the number of checks that passed and of those that did \
         not,\nor that the program broke off; n/a: the program asks for what does not apply; \
         skip: it skips itself.\nA program that fails is run up to three times, with every \
         runtime: several race with it.\n\n",
        results.suite, results.machine
    )];
    let count = |name: &String, verdict| {
        let outcomes = results.tests.values().filter_map(|outcomes| outcomes.get(name));
        outcomes.filter(|outcome| outcome.verdict == verdict).count()
    };
    page.push("| runtime | version | pass | fail | skip |\n|---|---|---|---|---|\n".to_owned());
    for name in names {
        let version = results.runtimes.get(*name).map_or("", String::as_str);
        let [pass, fail, skip] =
            [Verdict::Pass, Verdict::Fail, Verdict::Skip].map(|verdict| count(name, verdict));
        page.push(format!("| {name} | {version} | {pass} | {fail} | {skip} |\n"));
    }
    let titles: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    page.push(format!("\n| test | {} |\n", titles.join(" | ")));
    page.push(format!("|---|{}\n", "---|".repeat(names.len())));
    page
}

fn cell(test: &str, outcome: Option<&Outcome>, reasons: &BTreeMap<String, Reason>) -> String {
    let Some(outcome) = outcome else { return "not run".to_owned() };
    let applies = !reasons.get(test).is_some_and(|reason| reason.not_applicable);
    match outcome.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Skip => "skip".to_owned(),
        Verdict::Fail if !applies => "n/a".to_owned(),
        Verdict::Fail if outcome.broke.is_some() => "fail (broke off)".to_owned(),
        Verdict::Fail => format!("fail ({} / {})", outcome.passed, outcome.failed.len()),
    }
}

fn verdict_of(results: &Results, test: &str, runtime: &str) -> String {
    let outcome = results.tests.get(test).and_then(|outcomes| outcomes.get(runtime));
    let word = match outcome.map(|outcome| outcome.verdict) {
        Some(Verdict::Pass) => "passes",
        Some(Verdict::Fail) => "fails",
        Some(Verdict::Skip) => "skips",
        None => "not run",
    };
    format!("{runtime} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::record::{End, judge};
    use crate::tap;

    fn results(ours: &str) -> Results {
        let outcome = |text: &str| judge(tap::parse(text), End::Exit(0), "");
        let outcomes =
            BTreeMap::from([(OURS.into(), outcome(ours)), ("runc".into(), outcome("ok 1\n"))]);
        Results {
            suite: "the suite".into(),
            runtimes: BTreeMap::from([(OURS.into(), "1.0".into()), ("runc".into(), "2.0".into())]),
            tests: BTreeMap::from([("state".to_owned(), outcomes)]),
            ..Results::default()
        }
    }

    #[test]
    fn failures_need_reasons_and_reasons_failures() {
        let given = reasons("[state]\nwhy = \"it cannot\"\n").unwrap();
        let page = render(&results("ok 1\nnot ok 2 - x\n"), &given).unwrap();
        assert!(page.contains("| state | fail (1 / 1) | pass |"), "{page}");
        assert!(page.contains("- **state** (runc passes): it cannot"), "{page}");
        assert!(render(&results("not ok 1\n"), &BTreeMap::new()).is_err());
        assert!(render(&results("ok 1\n"), &given).is_err());
        assert!(reasons("[x]\nhow = 1\n").is_err());
    }
}
