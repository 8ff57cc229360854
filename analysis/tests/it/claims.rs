//! Claims judged on synthetic runs: one that keeps them, one that breaks them.

use std::path::Path;

use wamr_report::claims::table::Verdicts;
use wamr_report::claims::{Catalogue, Judged, Verdict};
use wamr_report::study::Study;

use super::program::status_and_text;
use super::recover::study_of;
use super::synthetic::{Recipe, write_run};
use super::testbed;

/// A container of crun-WAMR takes so long to start after the one before it.
const STEP_NS: i64 = 8_000_000;

fn verdicts(study: &Study) -> Verdicts {
    Verdicts::on(study, &Catalogue::built_in().unwrap())
}

fn of<'a>(verdicts: &'a Verdicts, id: &str) -> &'a Judged {
    verdicts.all().find(|one| one.claim.id == id).unwrap()
}

#[test]
fn a_run_like_the_paper_keeps_its_claims() {
    let study = study_of(&testbed::recipe(3, STEP_NS));
    let found = verdicts(&study);
    for one in found.all() {
        let want = match one.claim.id.as_str() {
            // Capabilities, definitions, seconds of another machine, densities not tried.
            "S01" | "K01" | "K02" | "K03" | "K04" | "E01" | "E02" | "E03" => Verdict::NotRun,
            _ => Verdict::Pass,
        };
        assert_eq!(one.verdict, want, "{one:#?}");
    }
    let standing = wamr_report::verdict::verdict(&study);
    let words: Vec<&str> = standing.findings.iter().map(|one| one.standing.word()).collect();
    assert!(words.iter().all(|word| *word == "ahead"), "controls are no rivals: {words:?}");
    let headline = &standing.headline;
    assert!(headline.contains("of 11 others, wamr-crun 2."), "{headline}");
    let saved = of(&found, "M09").measured.unwrap().0;
    assert!((saved - 100.0 * (1.0 - 13.0 / 14.63)).abs() < 1.5, "{saved}");
}

/// The same systems, but the claims' heroes are the heaviest and slowest of all.
fn falsified() -> Recipe {
    let mut recipe = testbed::recipe(3, STEP_NS);
    for model in &mut recipe.models {
        if matches!(model.runtime, "crun-wamr" | "wamr-crun" | "wamr-shim") {
            model.free_bytes = 90_000_000;
            model.available_bytes = 80_000_000;
            model.private_bytes = 60_000_000;
            model.start_step_ns *= 3;
            model.dense_step_ns = Some(4 * STEP_NS);
        }
    }
    recipe
}

#[test]
fn a_falsified_run_turns_the_table_to_fail() {
    let found = verdicts(&study_of(&falsified()));
    let failed: Vec<&str> = found
        .all()
        .filter(|one| one.verdict == Verdict::Fail)
        .map(|one| one.claim.id.as_str())
        .collect();
    for id in [
        "M01", "M02", "M08", "M09", "M11", "M12", "M13", "M14", "M16", "M17", "M18", "M21", "M22",
        "M23", "S02", "S05", "S06", "S07", "S08", "S09", "S12", "S13", "A01", "A02", "A03", "A04",
        "W01", "W02", "W03", "W04", "W05", "W06", "W08", "W09",
    ] {
        assert!(failed.contains(&id), "{id} is not among {failed:?}: {:#?}", of(&found, id));
    }
    // What the paper says of others, and against itself, still holds.
    for id in ["M03", "M10", "M20", "S11"] {
        assert_eq!(of(&found, id).verdict, Verdict::Pass, "{id}");
    }
    // Three times slower instead of 6.93 %: the direction holds, the number does not.
    assert_eq!(of(&found, "S10").verdict, Verdict::PassShape);
    assert_eq!(of(&found, "S04").verdict, Verdict::PassShape);
}

#[test]
fn what_was_not_measured_is_not_judged() {
    let found = verdicts(&study_of(&Recipe::demo()));
    let unmeasured = of(&found, "M01");
    assert_eq!(unmeasured.verdict, Verdict::NotRun);
    assert!(unmeasured.remarks[0].contains("crun-WAMR"), "{:?}", unmeasured.remarks);
    // One repetition: a figure, but no verdict.
    let single = of(&found, "W03");
    assert_eq!(single.verdict, Verdict::Inconclusive);
    assert!(single.remarks.iter().any(|remark| remark.contains("1 repetition")), "{single:#?}");
    // A part of the claim can fail it, but not prove it.
    let found = verdicts(&study_of(&Recipe { repetitions: 3, ..Recipe::demo() }));
    assert_eq!(of(&found, "W03").verdict, Verdict::PassShape);
    let emulated = Recipe { repetitions: 3, emulated: true, ..Recipe::demo() };
    let found = verdicts(&study_of(&emulated));
    assert_eq!(of(&found, "W08").verdict, Verdict::NotRun);
    assert!(of(&found, "W08").remarks[0].contains("emulated"));
}

#[test]
fn a_peer_that_cannot_be_had_leaves_the_rest_to_be_judged() {
    let mut recipe = testbed::recipe(3, STEP_NS);
    recipe.models.retain(|model| model.runtime != "containerd-shim-wasmedge");
    recipe.densities = vec![10];
    let found = verdicts(&study_of(&recipe));
    for id in ["M08", "M10", "M11", "S02", "S13"] {
        assert_eq!(of(&found, id).verdict, Verdict::PassShape, "{:#?}", of(&found, id));
        assert!(of(&found, id).remarks[0].contains("containerd-shim-wasmedge"), "{id}");
    }
    // How many of six are slower cannot be counted with five.
    assert_eq!(of(&found, "A02").verdict, Verdict::NotRun);
    // Whoever is not first among fewer is not first among all.
    let place = recipe.models.iter().position(|model| model.runtime == "crun-wamr").unwrap();
    recipe.models[place].free_bytes = 99_000_000;
    let found = verdicts(&study_of(&recipe));
    assert_eq!(of(&found, "M08").verdict, Verdict::Fail);
}

fn check(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    status_and_text(&[&["check"], arguments].concat(), dir)
}

#[test]
fn exit_status_and_junit_say_what_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = Recipe { repetitions: 3, ..Recipe::demo() };
    write_run(&dir.path().join("good"), &recipe);
    let mut heavy = recipe;
    heavy.models[0].free_bytes = 40_000_000;
    write_run(&dir.path().join("bad"), &heavy);
    let (status, text) = check(dir.path(), &["good", "--claim", "W03", "--claim", "M01"]);
    assert_eq!(status, Some(0), "{text}");
    insta::assert_snapshot!("check", text);
    assert_eq!(check(dir.path(), &["good", "--claim", "M01", "--strict"]).0, Some(4));
    let (status, text) = check(dir.path(), &["good", "bad", "--own", "--junit", "claims.xml"]);
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("FAIL         W03"), "{text}");
    let xml = std::fs::read_to_string(dir.path().join("claims.xml")).unwrap();
    assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
    assert!(xml.contains("name=\"W03 design\"><failure"), "{xml}");
    let (status, text) = check(dir.path(), &["good", "--claim", "Z99"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("there is no claim Z99"), "{text}");
}
