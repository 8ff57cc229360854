//! The section of docs/conformance.md about the privileged tests. Pure.

use miette::{Result, miette};

use super::record::{Differences, Results};

/// The section.
///
/// # Errors
/// The results are not what is expected.
pub fn section(results: &Results, expected: &Differences) -> Result<String> {
    let mut page = vec![format!(
        "\n## The tests of wamr-crun with other runtimes\n\n\
         `runtime/tests/privileged` is run with the peers as well, each test in a process of its \
         own\n({}). What is wamr-crun's alone is skipped there. Each failure is\na known \
         difference; one that is new, or gone, fails the run. Raw data:\n\
         [data/conformance/privileged.json](../data/conformance/privileged.json).\n\n\
         | runtime | version | pass | fail | skip |\n|---|---|---|---|---|\n",
        results.machine
    )];
    for (runtime, suite) in &results.runtimes {
        let (passed, failed, skipped) = (suite.passed, suite.failed.len(), suite.skipped.len());
        let version = &suite.version;
        page.push(format!("| {runtime} | {version} | {passed} | {failed} | {skipped} |\n"));
    }
    for (runtime, suite) in &results.runtimes {
        let known = expected.get(runtime);
        let known = known.ok_or_else(|| miette!("no difference of {runtime} is listed"))?;
        if let Some(line) = suite.unexpected(known).first() {
            return Err(miette!("the committed results of {runtime}: {line}"));
        }
        page.push(format!("\nWhat {runtime} does otherwise:\n\n"));
        for (test, difference) in known {
            let often = if difference.sometimes { " (not in each run)" } else { "" };
            page.push(format!("- `{test}`{often}: {}\n", difference.why));
        }
    }
    Ok(page.concat())
}

#[cfg(test)]
mod tests {
    use super::super::record::{Suite, differences};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_section_has_a_reason_for_each_failure() {
        let mut suite = Suite { version: "1.0".into(), passed: 4, ..Suite::default() };
        suite.failed.insert("a::b".into(), "left".into());
        let runtimes = BTreeMap::from([("runc".to_owned(), suite)]);
        let results = Results { machine: "Linux 6, cgroup v1".into(), runtimes };
        let listed = differences("[runc.'a::b']\nwhy = 'it has no b.'\n").unwrap();
        let page = section(&results, &listed).unwrap();
        assert!(page.contains("| runc | 1.0 | 4 | 1 | 0 |"), "{page}");
        assert!(page.contains("- `a::b`: it has no b.\n"), "{page}");
        for wrong in ["[runc]\n", "[crun.x]\nwhy = 'y'\n"] {
            assert!(section(&results, &differences(wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}
