//! The program itself: exit status, standard output, standard error.

use std::fs;

use super::program::{program, words};
use super::synthetic::{Recipe, write_run};

#[test]
fn builds_verifies_and_sums_up() {
    let dir = tempfile::tempdir().unwrap();
    write_run(&dir.path().join("run"), &Recipe::demo());
    let verified = program(&["verify", "run"], dir.path());
    assert_eq!(words(&verified.stdout), "18 files compared, 3 cells read, no defect\n");
    assert!(verified.status.success());
    let built = program(&["build", "run"], dir.path());
    assert_eq!(words(&built.stdout), "run/report/index.html\n", "{}", words(&built.stderr));
    assert!(dir.path().join("run/report/figures/memory-free.svg").exists());
    let again = program(&["verify", "run"], dir.path());
    assert!(again.status.success(), "the report is not part of the run");
    let summary = program(&["summary", "run"], dir.path());
    assert!(!words(&summary.stdout).contains('\u{1b}'), "no colour without a terminal");
    insta::assert_snapshot!("summary", words(&summary.stdout));
}

#[test]
fn defects_are_an_error_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    write_run(&run, &Recipe::demo());
    fs::write(run.join("journal.ndjson"), "{\"at_ns\":1}\n{\"at").unwrap();
    let verified = program(&["verify", "run"], dir.path());
    assert_eq!(verified.status.code(), Some(1));
    assert!(words(&verified.stdout).contains("journal.ndjson:2: "), "{}", words(&verified.stdout));
    let built = program(&["build", "run"], dir.path());
    assert_eq!(built.status.code(), Some(1));
    let told = words(&built.stderr);
    assert!(told.contains("journal.ndjson") && told.contains("wamr-report verify"), "{told}");
    assert!(!run.join("report").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn other_errors_name_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let absent = program(&["build", "nowhere"], dir.path());
    assert_eq!(absent.status.code(), Some(1));
    assert!(words(&absent.stderr).contains("nowhere"));
    assert_eq!(program(&[], dir.path()).status.code(), Some(2));
    write_run(&dir.path().join("run"), &Recipe::demo());
    fs::create_dir(dir.path().join("home")).unwrap();
    fs::write(dir.path().join("home/diary.txt"), "mine").unwrap();
    let occupied = program(&["build", "run", "--out", "home"], dir.path());
    assert_eq!(occupied.status.code(), Some(1));
    assert!(words(&occupied.stderr).contains("is not a report"));
    assert_eq!(fs::read_to_string(dir.path().join("home/diary.txt")).unwrap(), "mine");
}
