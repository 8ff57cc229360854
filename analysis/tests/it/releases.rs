//! Runs on several releases of containerd: compared on purpose, or because a system starts under an
//! older one only.

use std::collections::BTreeMap;

use wamr_report::group::Group;
use wamr_report::load::{Trust, load};
use wamr_report::measure::Measure;
use wamr_report::report::render::render;
use wamr_report::study::Study;

use super::synthetic::{Model, Recipe, models, write_run};

fn on(containerd: &'static str, free_bytes: i64, model: &Model) -> Model {
    Model { containerd: Some(containerd), free_bytes, ..model.clone() }
}

fn study(recipe: &Recipe) -> (Study, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), recipe);
    let study = load(dir.path(), Trust::Whole).unwrap();
    let files = render(&study).unwrap();
    (study, files)
}

fn table(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files[&format!("tables/{name}.csv")].clone()).unwrap()
}

#[test]
fn releases_that_are_compared_are_systems() {
    let ours = &models()[0];
    let recipe = Recipe {
        models: vec![on("v2.3.7", 6_000_000, ours), on("v2.4.2", 7_000_000, ours)],
        releases: &["2.3", "2.4"],
        repetitions: 3,
        ..Recipe::demo()
    };
    let (study, files) = study(&recipe);
    let titles: Vec<&str> = study.systems.iter().map(|system| system.title.as_str()).collect();
    assert_eq!(titles, ["wamr-crun (WAMR), containerd 2.3", "wamr-crun (WAMR), containerd 2.4"]);
    assert!(study.missing.is_empty(), "{:?}", study.missing);
    let valid: Vec<_> = study.groups.iter().map(|group| (group.valid, group.all())).collect();
    assert_eq!(valid, [(3, 3), (3, 3)]);
    let free = |group: &Group| group.median(Measure::FreePaper).map(f64::round);
    let free: Vec<_> = study.groups.iter().map(free).collect();
    assert_eq!(free, [Some(6e6), Some(7e6)], "each release has its own figures");
    let cells = table(&files, "cells");
    assert!(cells.lines().next().unwrap().contains(",containerd,"), "{cells}");
    assert_eq!(cells.matches(",v2.4.2,").count(), 3, "{cells}");
}

/// A release that has no cell of a series is missing, whatever the others have.
#[test]
fn a_release_without_cells_is_missing() {
    let recipe = Recipe {
        models: vec![on("v2.3.7", 6_000_000, &models()[0])],
        releases: &["2.3", "2.4"],
        ..Recipe::demo()
    };
    let (study, _) = study(&recipe);
    assert_eq!(study.systems.len(), 2);
    let missing: Vec<_> = study.missing.iter().map(|cell| (cell.system, cell.pods)).collect();
    assert_eq!(missing, [(1, 10)]);
}

#[test]
fn a_system_on_another_release_is_told_beside_its_figures() {
    let all = models();
    let mixed = Recipe {
        models: vec![on("v2.3.7", 6_000_000, &all[0]), on("v2.2.9", 9_000_000, &all[1])],
        ..Recipe::demo()
    };
    let summary = table(&study(&mixed).1, "summary");
    let row = |start: &str| summary.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(row("crun-WasmEdge,").contains(",v2.2.9,"), "{summary}");
    assert!(row("wamr-crun (WAMR),").contains(",v2.3.7,"), "{summary}");

    // All on one: the column would say nothing.
    let same = Recipe { models: vec![on("v2.3.7", 6_000_000, &all[0])], ..Recipe::demo() };
    let summary = table(&study(&same).1, "summary");
    assert!(!summary.contains("containerd"), "{summary}");
}
