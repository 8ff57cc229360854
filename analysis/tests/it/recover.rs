//! The estimators find the figures with which a run was made.

use std::collections::BTreeMap;

use wamr_record::cell::{Fault, Verdict};
use wamr_report::load::{Trust, load};
use wamr_report::measure::Measure;
use wamr_report::report::prose::notices;
use wamr_report::stats::Spread;
use wamr_report::study::Study;

use super::synthetic::{Recipe, write_run};

pub fn study_of(recipe: &Recipe) -> Study {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), recipe);
    load(dir.path(), Trust::Whole).unwrap()
}

fn group<'a>(study: &'a Study, runtime: &str, pods: u32) -> &'a wamr_report::group::Group {
    let is_it = |group: &&wamr_report::group::Group| {
        group.key.pods == pods && study.systems[group.key.system].runtime == runtime
    };
    study.groups.iter().find(is_it).unwrap()
}

fn near(found: Option<f64>, want: f64, tolerance: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} is missing"));
    assert!((found - want).abs() <= tolerance, "{what}: {found}, want {want}");
}

#[test]
fn exact_runs_give_exact_figures() {
    let study = study_of(&Recipe::demo());
    let ours = group(&study, "wamr-crun", 10);
    let table = [
        (Measure::FreePaper, 6e6),
        (Measure::FreeBracket, 6e6),
        (Measure::AvailablePaper, 5e6),
        (Measure::AvailableBracket, 5e6),
        (Measure::UsedPaper, 5.11e6),
        (Measure::SummaryNode, 5.001e6),
        (Measure::ResourceNode, 5.002e6),
        (Measure::PodCgroup, 380_000.0),
        (Measure::SummaryPod, 381_000.0),
        (Measure::ResourcePod, 382_000.0),
        (Measure::ResourceContainers, 331_000.0),
        (Measure::PartKernel, 1.15e6),
        (Measure::PartPageCache, 590_000.0),
        (Measure::PartDaemons, 1.1e6),
        (Measure::NodeMetrics, 5e6),
        (Measure::PodMetrics, 330_000.0),
        (Measure::StartLast, 900e6),
        (Measure::StartP50, 495e6),
        (Measure::StartP90, 819e6),
        (Measure::ScheduledLast, 50e6),
        (Measure::RunningLast, 940e6),
        (Measure::LogLast, 901e6),
        (Measure::PartContainerPrivate, 280_000.0 + 4.5 * 4096.0),
        (Measure::PartContainerShared, 100_000.0),
        (Measure::PartPause, 140_000.0),
        (Measure::PartShim, 2_500_000.0),
        (Measure::GrowthControlPlane, 440_000.0),
        (Measure::KernelSlab, 800_000.0),
    ];
    for (measure, want) in table {
        near(ours.median(measure), want, 0.5, measure.key());
    }
    let ratio = group(&study, "crun-wasmedge", 10).ratios[&Measure::FreePaper];
    near(Some(ratio.ratio), 16.0 / 6.0, 1e-9, "ratio");
    assert_eq!(ratio.spread, Spread::Single);
    assert!(ours.ratios.is_empty());
}

#[test]
fn parts_and_rest_make_up_the_whole() {
    let study = study_of(&Recipe::demo());
    for group in &study.groups {
        let parts = wamr_report::attribution::PARTS.iter().chain([&Measure::PartRest]);
        let sum: f64 = parts.map(|&part| group.median(part).unwrap()).sum();
        near(group.median(Measure::PartsTaken), sum, 0.5, "sum of the parts");
        near(group.median(Measure::FreePaper), sum, 0.5, "the pod");
        let open = |values: &BTreeMap<Measure, f64>| wamr_report::attribution::is_open(values);
        let mut values: BTreeMap<Measure, f64> =
            group.values.iter().map(|(&measure, summary)| (measure, summary.median)).collect();
        assert!(!open(&values));
        values.insert(Measure::PartRest, -0.051 * sum);
        assert!(open(&values));
    }
}

#[test]
fn drift_is_in_the_paper_estimate_and_not_in_the_bracket() {
    let recipe = Recipe { drift_bytes_per_s: 100_000, ..Recipe::demo() };
    let study = study_of(&recipe);
    let ours = group(&study, "wamr-crun", 10);
    // Between the middles: 5 s + 1.9 s + 4 s from `before` to the plateau, 5 s + 3 s to `after`.
    near(ours.median(Measure::FreePaper), 6e6 + 11.0 * 1e4, 2e4, "paper");
    near(ours.median(Measure::FreeBracket), 6e6 + (11.0 - 8.0) / 2.0 * 1e4, 2e4, "bracket");
    near(ours.median(Measure::FreeDrift), 19.0 * 1e4, 2e4, "drift");
}

#[test]
fn an_interrupted_or_chosen_run_says_so() {
    let mut study = study_of(&Recipe {
        absent: vec![("runc-python", 10, 1), ("crun-wasmedge", 10, 1)],
        ..Recipe::demo()
    });
    study.run.resumed_ns = vec![1_767_323_045_000_000_000, 1_767_323_105_000_000_000];
    study.run.only = vec!["wamr-crun".to_owned()];
    let found = notices(&study).join("\n");
    assert!(
        found.contains("resumed at 2026-01-02 03:04:05 UTC and 2026-01-02 03:05:05"),
        "{found}"
    );
    assert!(found.contains("with wamr-crun in their names"), "{found}");
    assert!(found.contains("2 cells of the plan are left out"), "{found}");
}

#[test]
fn doubtful_levels_are_said_first() {
    let calm = study_of(&Recipe::demo());
    assert_eq!(notices(&calm), ["One repetition: no interval can be given."]);
    let notes = vec!["memory never became level".to_owned()];
    let verdicts = vec![("wamr-crun", 10, 1, Verdict::Valid { notes })];
    let restless = Recipe { drift_bytes_per_s: 1_000_000, verdicts, ..Recipe::demo() };
    let found = notices(&study_of(&restless));
    assert!(found[0].starts_with("In 3 of 3 valid cells"), "{found:?}");
    assert!(found[1].starts_with("In 3 of 3 valid cells more than 5 %"), "{found:?}");
    assert!(found[2].starts_with("1 of 3 valid cells carry remarks"), "{found:?}");
}

#[test]
fn slopes_leave_fixed_costs_out() {
    let mut recipe = Recipe { densities: vec![5, 10, 40], repetitions: 3, ..Recipe::demo() };
    for model in &mut recipe.models {
        model.fixed_bytes = 30_000_000;
    }
    let study = study_of(&recipe);
    near(group(&study, "wamr-crun", 5).median(Measure::FreePaper), 12e6, 1.0, "5 pods");
    let slope = study.slopes.iter().find(|slope| study.systems[slope.system].ours).unwrap();
    near(Some(slope.free_bytes_per_pod), 6e6, 1.0, "slope");
    near(slope.available_bytes_per_pod, 5e6, 1.0, "slope of available");
    near(Some(slope.free_fixed_bytes), 30e6, 10.0, "fixed");
    assert_eq!(slope.densities, 3);
    assert!(matches!(slope.free_spread, Spread::Interval { .. }));
}

#[test]
fn intervals_hold_the_truth_of_a_noisy_run() {
    let recipe = Recipe { repetitions: 7, noise_bytes: 800_000, ..Recipe::demo() };
    let study = study_of(&recipe);
    for (runtime, want) in [("wamr-crun", 6e6), ("crun-wasmedge", 16e6), ("runc-python", 9.7e6)] {
        let summary = &group(&study, runtime, 10).values[&Measure::FreePaper];
        let Spread::Interval { low, high } = summary.spread else { panic!("no interval") };
        assert!(low < high && low <= summary.median && summary.median <= high, "{runtime}");
        assert!(low - 1e5 <= want && want <= high + 1e5, "{runtime}: {low} to {high}");
        assert_eq!(summary.repetitions.len(), 7);
    }
}

#[test]
fn private_memory_is_that_of_the_containers() {
    let study = study_of(&Recipe::demo());
    let private = study.reference().unwrap().private.as_ref().unwrap();
    assert_eq!(private.containers, 10);
    near(Some(private.min_bytes), 280_000.0, 0.0, "smallest");
    near(Some(private.max_bytes), 280_000.0 + 9.0 * 4096.0, 0.0, "largest");
    assert_eq!(private.mapped_containers, 2);
    assert_eq!(private.by_mapping[0], ("[heap]".to_owned(), 140_000.0));
}

#[test]
fn only_valid_cells_count_and_missing_ones_are_listed() {
    let reasons = vec!["no pod started".to_owned()];
    let recipe = Recipe {
        repetitions: 2,
        verdicts: vec![
            ("wamr-crun", 10, 1, Verdict::Failed { reasons: reasons.clone() }),
            (
                "runc-python",
                10,
                1,
                Verdict::Invalid { reasons: reasons.clone(), fault: Fault::Cell },
            ),
        ],
        absent: vec![("runc-python", 10, 2)],
        ..Recipe::demo()
    };
    let study = study_of(&recipe);
    let ours = group(&study, "wamr-crun", 10);
    assert_eq!((ours.valid, ours.invalid, ours.failed, ours.missing), (1, 0, 1, 0));
    let python = group(&study, "runc-python", 10);
    assert_eq!((python.valid, python.invalid, python.failed, python.missing), (0, 1, 0, 1));
    assert!(python.values.is_empty());
    assert_eq!(study.missing.len(), 1);
    assert_eq!(study.valid_cells(), 3);
}

#[test]
fn a_loss_is_said() {
    let study = study_of(&Recipe::demo());
    let verdict = wamr_report::verdict::verdict(&study);
    let words: Vec<&str> = verdict.findings.iter().map(|finding| finding.standing.word()).collect();
    assert_eq!(words, ["ahead", "ahead", "ahead", "behind"]);
    let start = &verdict.findings[3].text;
    assert!(start.contains("second of 3") && start.contains("runC-Python, takes 0.89"), "{start}");
}

#[test]
fn what_an_interval_cannot_tell_apart_is_level() {
    let mut recipe = Recipe { repetitions: 7, noise_bytes: 2_000_000, ..Recipe::demo() };
    recipe.models.truncate(2);
    let ours = recipe.models[0].clone();
    recipe.models[1].free_bytes = ours.free_bytes;
    let verdict = wamr_report::verdict::verdict(&study_of(&recipe));
    let finding = &verdict.findings[0];
    assert_eq!(finding.standing.word(), "level", "{}", finding.text);
    assert!(finding.text.contains("no difference is shown"), "{}", finding.text);
}
