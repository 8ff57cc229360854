//! Pods that arrive one by one: percentiles of each condition, from each pod's own request.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wamr_report::load::{Trust, load};
use wamr_report::measure::Measure;
use wamr_report::report::render::render;
use wamr_report::study::Study;

use super::synthetic::{BEGIN_NS, Model, Recipe, models, write_manifest, write_run};

/// Nanoseconds between two requests.
const STEP_NS: i64 = 50_000_000;

/// A run of ten pods at 20 a second; each takes a fixed time to each condition, the last one more.
fn write_arrival(dir: &Path, recipe: &Recipe) {
    write_arrivals(dir, recipe, &["20/s"]);
}

/// The same whose cells are at `rates` in turn.
fn write_arrivals(dir: &Path, recipe: &Recipe, rates: &[&str]) {
    write_run(dir, recipe);
    let experiment = fs::read_to_string(dir.join("experiment.toml")).unwrap();
    let experiment = experiment.replacen("seed =", &format!("arrival = {rates:?}\nseed ="), 1);
    fs::write(dir.join("experiment.toml"), experiment).unwrap();
    let cells = fs::read_dir(dir.join("cells")).unwrap();
    let mut cells: Vec<_> = cells.map(|entry| entry.unwrap().path()).collect();
    cells.sort();
    for (cell, rate) in cells.into_iter().zip(rates.iter().cycle()) {
        let text = fs::read_to_string(cell.join("cell.json")).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value["arrival"] = json!(rate);
        value["exceeded"] = json!(["started p99: 40 ms, at most 30 wanted"]);
        fs::write(cell.join("cell.json"), value.to_string()).unwrap();
        let text = fs::read_to_string(cell.join("pods.ndjson")).unwrap();
        let lines = text.lines().enumerate().map(|(number, line)| {
            let mut pod: Value = serde_json::from_str(line).unwrap();
            let first_ns = pod["requested_ns"].as_i64().unwrap();
            let requested_ns = first_ns + number as i64 * STEP_NS;
            let more_ns = if number == 9 { 5_000_000 } else { 0 };
            pod["requested_ns"] = json!(requested_ns);
            for (stamp, delay_ns) in [
                ("scheduled_ns", 10_000_000),
                ("sandbox_ns", 20_000_000),
                ("created_ns", 30_000_000),
                ("started_ns", 40_000_000),
                ("first_instruction_ns", 45_000_000),
            ] {
                pod[stamp] = json!(requested_ns + delay_ns + more_ns);
            }
            pod.to_string() + "\n"
        });
        fs::write(cell.join("pods.ndjson"), lines.collect::<String>()).unwrap();
    }
    write_manifest(dir, BEGIN_NS + 1_000_000_000_000);
}

fn study() -> Study {
    let dir = tempfile::tempdir().unwrap();
    write_arrival(dir.path(), &Recipe::demo());
    load(dir.path(), Trust::WithDefects).unwrap()
}

#[test]
fn each_condition_has_its_percentiles() {
    let study = study();
    assert!(study.missing.is_empty(), "{:?}", study.missing);
    let ours = study.systems.iter().position(|system| system.runtime == "wamr-crun").unwrap();
    assert_eq!(study.systems[ours].title, "wamr-crun (WAMR) at 20/s");
    let group = study.groups.iter().find(|group| group.key.system == ours).unwrap();
    let ms = |measure: Measure| group.median(measure).map(|ns| (ns / 1e4).round() / 100.0);
    for (measure, want) in [
        (Measure::ScheduledP50, 10.0),
        (Measure::SandboxP90, 20.5),
        (Measure::CreatedP99, 34.55),
        (Measure::StartedLast, 45.0),
        (Measure::StartP50, 45.0),
        (Measure::StartLast, 50.0),
    ] {
        assert_eq!(ms(measure), Some(want), "{}", measure.key());
    }
}

#[test]
fn the_report_has_the_conditions_and_what_was_too_slow() {
    let files = render(&study()).unwrap();
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    let table = text("tables/conditions.csv");
    assert!(table.contains("wamr-crun (WAMR) at 20/s,10,sandbox,20000000,"), "{table}");
    assert_eq!(table.lines().count(), 1 + 3 * 5, "three systems, five conditions");
    assert!(text("tables/cell-values.csv").lines().next().unwrap().contains("sandbox_p50_ns"));
    let page = text("report.md");
    assert!(page.contains("started p99: 40 ms, at most 30 wanted"), "{page}");
    assert!(page.contains("from its own request"), "the method says so");
    let claims = text("claims.json");
    let judged =
        ["\"PASS", "\"FAIL\"", "\"INCONCLUSIVE\""].map(|word| claims.matches(word).count());
    assert!(claims.contains("\"NOT-RUN\""), "{claims}");
    assert_eq!(judged, [0; 3], "claims are about pods that one call creates: {claims}");
}

/// Each rate on each release is a system: nothing is missing and no figures are mixed.
#[test]
fn rates_and_releases_are_axes_beside_each_other() {
    let on = |version, free_bytes| Model {
        containerd: Some(version),
        free_bytes,
        ..models().swap_remove(0)
    };
    let recipe = Recipe {
        models: vec![on("v2.3.7", 6_000_000), on("v2.4.2", 7_000_000)],
        releases: &["2.3", "2.4"],
        ..Recipe::demo()
    };
    let dir = tempfile::tempdir().unwrap();
    write_arrival(dir.path(), &recipe);
    let study = load(dir.path(), Trust::WithDefects).unwrap();
    let titles: Vec<&str> = study.systems.iter().map(|system| system.title.as_str()).collect();
    let want = ["2.3", "2.4"].map(|it| format!("wamr-crun (WAMR) at 20/s, containerd {it}"));
    assert_eq!(titles, want);
    assert!(study.missing.is_empty(), "{:?}", study.missing);
    let free: Vec<_> =
        study.groups.iter().map(|group| group.median(Measure::FreePaper).map(f64::round)).collect();
    assert_eq!(free, [Some(6e6), Some(7e6)]);
    let cells = String::from_utf8(render(&study).unwrap()["tables/cells.csv"].clone()).unwrap();
    assert_eq!(cells.matches(",v2.4.2,").count(), 1, "{cells}");
}

/// Figures at different rates are shown beside each other, but nobody is ahead by them.
#[test]
fn rates_are_no_rivals() {
    let ours = models().swap_remove(0);
    let recipe = Recipe { models: vec![ours.clone(), ours], ..Recipe::demo() };
    let dir = tempfile::tempdir().unwrap();
    write_arrivals(dir.path(), &recipe, &["5/s", "20/s"]);
    let study = load(dir.path(), Trust::WithDefects).unwrap();
    let titles: Vec<&str> = study.systems.iter().map(|system| system.title.as_str()).collect();
    assert_eq!(titles, ["wamr-crun (WAMR) at 5/s", "wamr-crun (WAMR) at 20/s"]);
    assert!(study.missing.is_empty(), "{:?}", study.missing);
    let page = String::from_utf8(render(&study).unwrap()["report.md"].clone()).unwrap();
    let alone = "at 5/s takes 6.00 MB per pod; no other system has a valid cell";
    assert!(page.contains(alone), "{page}");
}

#[test]
fn a_run_without_rates_has_no_such_table() {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), &Recipe::demo());
    let files = render(&load(dir.path(), Trust::Whole).unwrap()).unwrap();
    assert!(!files.contains_key("tables/conditions.csv"));
    let values = String::from_utf8(files["tables/cell-values.csv"].clone()).unwrap();
    assert!(!values.contains("sandbox_p50_ns"), "columns of runs that are published stay");
}
