//! Whatever a run's files hold, there is an error or a report, never a panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use wamr_report::claims::Catalogue;
use wamr_report::claims::table::Verdicts;
use wamr_report::command::diff::diff;
use wamr_report::command::export::prometheus;
use wamr_report::command::history::history;
use wamr_report::load::{Trust, load};
use wamr_report::report::render::render;
use wamr_report::terminal;

use super::surroundings::experiment;
use super::synthetic::{BEGIN_NS, Recipe, write_manifest, write_run};

fn template() -> &'static tempfile::TempDir {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    RUN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let recipe = Recipe { densities: vec![1, 2], samples: 2, ..Recipe::demo() };
        write_run(dir.path(), &recipe);
        dir
    })
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.strip_prefix(template().path()).unwrap_or(&path).to_owned());
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Reads the run in every way; a result or an error is fine.
fn exercise(run: &Path) {
    for trust in [Trust::Whole, Trust::WithDefects] {
        if let Ok(study) = load(run, trust) {
            let files = render(&study).unwrap();
            let html = std::str::from_utf8(&files["index.html"]).unwrap();
            assert!(html.ends_with("</html>\n"));
            assert!(!html.contains("<script"), "nothing of a run becomes markup");
            assert!(!html.contains("NaN") && !html.contains(">inf"), "numbers are numbers");
            assert!(!terminal::summary(&study).is_empty());
            let verdicts = Verdicts::on(&study, &Catalogue::built_in().unwrap());
            let text = prometheus(&study, &verdicts);
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
            let (table, _) = diff(&study, &study, Some(10.0));
            assert!(table.csv().is_ok() && history(&[study]).csv().is_ok());
        }
    }
}

/// Puts `value` in place of the `which`-th number of `text`.
fn replace_number(text: &str, which: usize, value: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let starts: Vec<usize> = (1..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && matches!(bytes[at - 1], b':' | b' ' | b'['))
        .collect();
    let start = *starts.get(which % starts.len().max(1))?;
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some(format!("{}{value}{}", &text[..start], &text[start + length..]))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn flipped_bytes_never_panic(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        sealed in any::<bool>(),
    ) {
        let run = tempfile::tempdir().unwrap();
        copy(template().path(), run.path());
        let files = files(template().path());
        let path = run.path().join(which.get(&files));
        let mut bytes = fs::read(&path).unwrap();
        for (place, mask) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= mask;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, bytes).unwrap();
        if sealed {
            write_manifest(run.path(), BEGIN_NS);
        }
        exercise(run.path());
    }

    #[test]
    fn wild_numbers_never_panic(
        which in any::<prop::sample::Index>(),
        numbers in prop::collection::vec((any::<usize>(), prop::sample::select(vec![
            "0", "1", "-1", "4294967295", "9223372036854775807", "-9223372036854775808",
            "18446744073709551615", "1e308", "1000000",
        ])), 1..8),
    ) {
        let run = tempfile::tempdir().unwrap();
        copy(template().path(), run.path());
        let files = files(template().path());
        let path = run.path().join(which.get(&files));
        let mut text = fs::read_to_string(&path).unwrap();
        for (number, value) in numbers {
            text = replace_number(&text, number, value).unwrap_or(text);
        }
        fs::write(&path, text).unwrap();
        write_manifest(run.path(), BEGIN_NS);
        exercise(run.path());
    }
}

#[test]
fn hostile_names_stay_names() {
    let run = tempfile::tempdir().unwrap();
    copy(template().path(), run.path());
    let name = "</script><script>alert(1)</script>|`*[x](y)\\u001b[31m\\u202e";
    for file in files(template().path()) {
        let path = run.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("crun-WasmEdge", name).replace("KVM", name)).unwrap();
    }
    write_manifest(run.path(), BEGIN_NS);
    exercise(run.path());
    let study = load(run.path(), Trust::Whole).unwrap();
    for (path, bytes) in render(&study).unwrap() {
        let text = String::from_utf8(bytes).unwrap();
        let extension = Path::new(&path).extension().and_then(|extension| extension.to_str());
        let escaped = matches!(extension, Some("json" | "csv"));
        assert!(escaped || !text.contains("<script"), "{path}");
        // JSON is for programs: it keeps names as they are, control characters escaped.
        let json = extension == Some("json");
        assert!(!text.contains('\u{1b}') && (json || !text.contains('\u{202e}')), "{path}");
    }
}

/// File of the first cell or of the run, what it is replaced with, words of the defect.
fn corpus() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let deep = [b"[".repeat(200_000), b"\n".to_vec()].concat();
    let long = [b"{\"x\":\"".to_vec(), vec![b'a'; 3_000_000], b"\"}\n".to_vec()].concat();
    vec![
        ("manifest.json", deep.clone(), "invalid type"),
        ("manifest.json", b"\xff\xfe{}".to_vec(), "UTF-8"),
        ("environment.json", vec![0; 100_000], "expected value"),
        (
            "experiment.toml",
            experiment(&Recipe { repetitions: 4_000_000_000, ..Recipe::demo() }).into_bytes(),
            "more than 100000 cells",
        ),
        ("experiment.toml", b"densities = [".repeat(1000), ""),
        ("journal.ndjson", long.clone(), ""),
        ("journal.ndjson", deep, "recursion limit"),
        ("cells/CELL/samples.ndjson", long, "unknown field"),
        ("cells/CELL/samples.ndjson", b"\n".repeat(100_000), "EOF"),
        ("cells/CELL/pods.ndjson", b"{}\n".repeat(50_000), "more defects of this file"),
        ("cells/CELL/cell.json", b"null".to_vec(), "invalid type"),
        ("cells/CELL/evidence.json", b"{\"handler\":1e999}".to_vec(), "out of range"),
        ("cells/CELL/attribution.ndjson", b"[1,2,".to_vec(), "truncated"),
    ]
}

#[test]
fn a_corpus_of_bad_files_is_named_and_nothing_is_written() {
    let cell = fs::read_dir(template().path().join("cells")).unwrap().next().unwrap().unwrap();
    let cell = cell.file_name().into_string().unwrap();
    for (file, bytes, words) in corpus() {
        let run = tempfile::tempdir().unwrap();
        copy(template().path(), run.path());
        let file = file.replace("CELL", &cell);
        fs::write(run.path().join(&file), bytes).unwrap();
        if file != "manifest.json" {
            write_manifest(run.path(), BEGIN_NS);
        }
        let defects = wamr_report::verify::check::check(run.path()).unwrap().defects;
        let named = defects.iter().any(|defect| defect.path == file && defect.text.contains(words));
        assert!(named || words.is_empty(), "{file}, {words}: {defects:#?}");
        exercise(run.path());
        let entries = fs::read_dir(run.path()).unwrap().count();
        assert_eq!(entries, fs::read_dir(template().path()).unwrap().count(), "nothing written");
    }
}

#[test]
fn a_file_of_two_gigabytes_is_refused_unread() {
    let run = tempfile::tempdir().unwrap();
    copy(template().path(), run.path());
    let path = run.path().join("experiment.toml");
    fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let defects = wamr_report::verify::check::check(run.path()).unwrap().defects;
    assert!(defects.iter().any(|defect| defect.text.contains("2147483648 bytes")), "{defects:?}");
    assert!(load(run.path(), Trust::WithDefects).is_err());
}
