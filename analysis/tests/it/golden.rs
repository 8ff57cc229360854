//! Reports of small runs, word for word, and the same bytes each time.

use std::collections::BTreeMap;

use wamr_record::cell::{Fault, Verdict};
use wamr_report::figure::canvas::text_width;
use wamr_report::load::{Trust, load};
use wamr_report::report::render::render;

use super::synthetic::{Recipe, write_run};

fn report(recipe: &Recipe) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), recipe);
    render(&load(dir.path(), Trust::Whole).unwrap()).unwrap()
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files[name].clone()).unwrap()
}

/// The page without style and drawings: those are looked at, not compared.
fn skeleton(html: &str) -> String {
    let mut kept = html.to_owned();
    for (open, close) in [("<style>", "</style>"), ("<svg ", "</svg>")] {
        let mut rest = kept.as_str();
        let mut without = String::new();
        while let Some((before, after)) = rest.split_once(open) {
            without.push_str(before);
            without.push_str(open);
            without.push('…');
            rest = after.split_once(close).map_or("", |split| split.1);
        }
        without.push_str(rest);
        kept = without;
    }
    kept
}

fn small() -> Recipe {
    Recipe {
        densities: vec![2],
        repetitions: 3,
        samples: 3,
        noise_bytes: 400_000,
        verdicts: vec![(
            "runc-python",
            2,
            2,
            Verdict::Invalid {
                reasons: vec!["the baseline never became level".to_owned()],
                fault: Fault::Cell,
            },
        )],
        absent: vec![("crun-wasmedge", 2, 3)],
        ..Recipe::demo()
    }
}

#[test]
fn report_of_a_small_run() {
    let files = report(&small());
    insta::assert_snapshot!("report_md", text(&files, "report.md"));
    insta::assert_snapshot!("numbers_json", text(&files, "numbers.json"));
    insta::assert_snapshot!("index_html", skeleton(&text(&files, "index.html")));
    insta::assert_snapshot!("summary_csv", text(&files, "tables/summary.csv"));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    assert_eq!(report(&small()), report(&small()));
}

#[test]
fn a_run_without_a_valid_cell_says_so() {
    let failed =
        |runtime| (runtime, 10, 1, Verdict::Failed { reasons: vec!["no pod started".to_owned()] });
    let verdicts = ["wamr-crun", "crun-wasmedge", "runc-python"].map(failed).to_vec();
    let files = report(&Recipe { verdicts, emulated: true, ..Recipe::demo() });
    let markdown = text(&files, "report.md");
    assert!(markdown.contains("No cell of this run is valid"), "{markdown}");
    assert!(markdown.contains("no pod started"));
    assert!(markdown.contains("The processor was emulated"));
    assert!(!files.contains_key("figures/memory-free.svg"));
}

#[test]
fn emulated_times_are_not_compared() {
    let files = report(&Recipe { emulated: true, ..Recipe::demo() });
    assert!(!files.contains_key("figures/start.svg"));
    let summary = text(&files, "tables/summary.csv");
    let ours = summary.lines().nth(1).unwrap();
    assert!(ours.contains("6000000,,,5000000,,,5000000,,,,,,"), "{ours}");
    let markdown = text(&files, "report.md");
    assert!(!markdown.contains("Time to start all pods"));
    assert!(markdown.contains("**On an emulated processor, at 10 pods"), "{markdown}");
}

#[test]
fn the_page_needs_nothing_from_outside() {
    let files = report(&Recipe::demo());
    let html = text(&files, "index.html");
    for outside in ["http://", "https://", "src=", "@import", "url(h", "<script"] {
        let found = html.replace("http://www.w3.org/2000/svg", "").contains(outside);
        assert!(!found, "{outside}");
    }
    for (name, bytes) in &files {
        if let Some(slug) = name.strip_prefix("figures/") {
            let svg = String::from_utf8(bytes.clone()).unwrap();
            assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"), "{slug}");
            assert!(!svg.contains("var(--") && !svg.contains("#FE01"), "{slug}");
        }
    }
}

/// Value of the attribute `name` in the tag `tag`.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|split| split.0)
}

/// Left and right end of every text of a drawing, in its units, with the words.
fn text_spans(svg: &str) -> Vec<(f64, f64, String)> {
    let mut spans = Vec::new();
    for piece in svg.split("<text").skip(1) {
        let (tag, rest) = piece.split_once('>').unwrap();
        let words = rest.split_once("</text>").unwrap().0.trim().to_owned();
        let number = |name| attribute(tag, name).unwrap().parse::<f64>().unwrap() / 10.0;
        let width = text_width(&words, number("font-size"));
        let left = match attribute(tag, "text-anchor") {
            Some("end") => number("x") - width,
            Some("middle") => number("x") - width / 2.0,
            _ => number("x"),
        };
        spans.push((left, left + width, words));
    }
    spans
}

#[test]
fn no_label_leaves_its_figure() {
    let mut long = small();
    long.models[1].title = "a runtime whose name is far too long for the room that it gets";
    for recipe in [small(), long, Recipe { densities: vec![1, 10], ..Recipe::demo() }] {
        let html = text(&report(&recipe), "index.html");
        let mut seen = 0;
        for piece in html.split("<svg ").skip(1) {
            let svg = piece.split_once("</svg>").unwrap().0;
            let width: f64 = attribute(&format!(" {svg}"), "width").unwrap().parse().unwrap();
            for (left, right, words) in text_spans(svg) {
                assert!(left >= -2.0 && right <= width + 2.0, "{words}: {left} to {right}");
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen} labels");
    }
}

#[test]
fn the_papers_figures_show_what_is_there_and_name_what_is_not() {
    let files = report(&Recipe::demo());
    let figure = text(&files, "figures/paper-04.svg");
    assert_eq!(figure.matches("absent from this run").count(), 4, "{figure}");
    assert!(figure.contains("16.00") && figure.contains("crun-WAMR"));
    assert!(files.contains_key("figures/paper-08.svg"), "ten pods were started");
    assert!(!files.contains_key("figures/paper-09.svg"), "400 were not");
    assert!(!files.contains_key("figures/memory-over-pods.svg"), "one density has no slope");
    let shims = text(&files, "figures/paper-05.svg");
    assert_eq!(shims.matches("absent from this run").count(), 5);
    let emulated = report(&Recipe { emulated: true, ..Recipe::demo() });
    assert!(!emulated.contains_key("figures/paper-08.svg"));
    assert!(!emulated.contains_key("figures/start-distribution.svg"));
}
