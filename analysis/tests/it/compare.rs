//! Several runs at once, and figures for other programs.

use super::program::status_and_text;
use super::synthetic::{Recipe, write_run};

fn runs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let recipe = Recipe { repetitions: 5, noise_bytes: 200_000, ..Recipe::demo() };
    write_run(&dir.path().join("old"), &recipe);
    let mut heavier = recipe;
    heavier.models[0].free_bytes = 7_500_000;
    heavier.models[1].start_step_ns = 100_000_000;
    heavier.models.truncate(2);
    write_run(&dir.path().join("new"), &heavier);
    dir
}

#[test]
fn a_difference_is_shown_with_its_interval() {
    let dir = runs();
    let (status, text) = status_and_text(&["diff", "old", "new", "--csv", "diff.csv"], dir.path());
    assert_eq!(status, Some(0), "{text}");
    insta::assert_snapshot!("diff", text);
    let csv = std::fs::read_to_string(dir.path().join("diff.csv")).unwrap();
    let row = |start: &str| csv.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(row("wamr-crun (WAMR),10,\"free, MB per pod\"").ends_with(",more"), "{csv}");
    assert!(row("crun-WasmEdge,10,\"all pods started, ms\"").ends_with(",less"), "{csv}");
    assert!(row("crun-WasmEdge,10,\"free, MB per pod\"").ends_with(",same"), "{csv}");
    assert_eq!(status_and_text(&["diff", "old", "new", "--limit", "10"], dir.path()).0, Some(3));
    assert_eq!(status_and_text(&["diff", "new", "old", "--limit", "50"], dir.path()).0, Some(0));
}

#[test]
fn a_history_has_a_row_per_run_and_system() {
    let dir = runs();
    let (status, text) =
        status_and_text(&["history", "old", "new", "--csv", "history.csv"], dir.path());
    assert_eq!(status, Some(0), "{text}");
    let csv = std::fs::read_to_string(dir.path().join("history.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 + 2, "{csv}");
}

#[test]
fn prometheus_reads_the_export() {
    let dir = runs();
    let (status, text) = status_and_text(&["export", "new", "--prometheus"], dir.path());
    assert_eq!(status, Some(0), "{text}");
    let line = "wamr_lab_start_last_seconds{run=\"synthetic\",runtime=\"crun-wasmedge\",\
                workload=\"microservice-wasm\",pods=\"10\",stat=\"median\"} 1";
    assert!(text.lines().any(|found| found == line), "{text}");
    assert!(text.contains("wamr_lab_claim{run=\"synthetic\",claim=\"M01\",verdict=\"NOT-RUN\"} 1"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(line.starts_with("wamr_lab_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let mut kinds: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = kinds.len();
    kinds.dedup();
    assert_eq!(kinds.len(), all, "each name once");
}
