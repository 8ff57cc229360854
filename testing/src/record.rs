//! Tells of a test that is not run: on standard output, and in the file that `make` names.

use std::env;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// Set by `make`: what a test needs is there, or the test fails.
const REQUIRED: &str = "WAMR_TEST_REQUIRED";
/// The file that takes a line for every skipped test.
const SKIPPED: &str = "WAMR_TEST_SKIPPED";

/// Something is missing that the test's tier promises: fails under `make`, else skips.
///
/// # Panics
/// Where `WAMR_TEST_REQUIRED` is set, as `make` does.
pub fn lacking(what: impl Display) {
    refuse_or_tell(env::var_os(REQUIRED).is_some(), &what.to_string());
}

fn refuse_or_tell(required: bool, what: &str) {
    assert!(!required, "{REQUIRED} is set, but {what}");
    tell("lacking", what);
}

/// Says that this test is skipped, and why.
pub fn tell(condition: &str, why: &str) {
    let test = test_name();
    println!("skipped: {test}: {condition}: {why}");
    let Some(path) = env::var_os(SKIPPED) else { return };
    let line = format!("{test}\t{condition}\t{}\n", why.replace(['\t', '\n'], " "));
    // One write of one line: other tests append at the same time.
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Name of the test that calls: its thread has it, where libtest gives each test a thread.
fn test_name() -> String {
    let named = env::var("NEXTEST_TEST_NAME").ok();
    let thread = std::thread::current();
    named.or(thread.name().map(str::to_owned)).unwrap_or_else(|| "a test".to_owned())
}

#[cfg(test)]
mod tests {
    use super::refuse_or_tell;

    #[test]
    #[should_panic(expected = "WAMR_TEST_REQUIRED is set, but there is no clang")]
    fn what_is_required_and_missing_fails_the_test() {
        refuse_or_tell(true, "there is no clang");
    }
}
