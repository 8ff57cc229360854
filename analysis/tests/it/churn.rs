//! Runs of replaced pods through the whole program.

use std::fs;
use std::path::Path;

use wamr_record::churn::{Churn, ChurnReading, ChurnSystem, HEAD, NAME};

use super::program::{program, words};
use super::surroundings::environment;
use super::synthetic::{BEGIN_NS, Recipe, write_manifest};

/// How much a figure of ours grows with every start.
#[derive(Clone, Copy, Default)]
struct Leaks {
    shim_bytes: u64,
    mounts: u64,
}

fn system(runtime: &str, ours: bool) -> ChurnSystem {
    ChurnSystem {
        runtime: runtime.to_owned(),
        title: runtime.to_uppercase(),
        workload: "microservice-wasm".to_owned(),
        containerd: Some("v2.3.7".to_owned()),
        ours,
        shim_is_ours: ours,
        file: format!("series/{runtime}.csv"),
        starts: 1000,
        begin_ns: BEGIN_NS,
        end_ns: BEGIN_NS + 100_000_000_000,
    }
}

/// Readings of a system; the heap of containerd saws, that of the kubelet grows with every start.
fn series(leaks: Leaks) -> String {
    let mut lines = vec![HEAD.to_owned()];
    for index in 1..=50_u32 {
        let starts = 20 * index;
        let grown = u64::from(starts);
        let figures = [
            ("shim", "anon_bytes", 500_000 + leaks.shim_bytes * grown),
            ("shim", "descriptors", 50),
            ("containers", "processes", 20),
            ("node", "mounts", 300 + leaks.mounts * grown),
            ("containerd", "anon_bytes", 30_000_000 + 100_000 * u64::from(index % 5)),
            ("kubelet", "anon_bytes", 50_000_000 + 700 * grown),
            ("kernel", "slab_unreclaimable_bytes", 90_000_000),
        ];
        lines.extend(figures.map(|(subject, figure, value)| {
            let taken_ns = BEGIN_NS + i64::from(index) * 2_000_000_000;
            let (subject, figure) = (subject.to_owned(), figure.to_owned());
            ChurnReading { taken_ns, starts, subject, figure, value }.line()
        }));
    }
    lines.join("\n") + "\n"
}

fn write_churn(dir: &Path, leaks: Leaks, complete: bool) {
    fs::create_dir_all(dir.join("series")).unwrap();
    let churn = Churn {
        pods: 20,
        replaced: 2,
        starts: 1000,
        complete,
        collected: vec!["containerd".to_owned(), "kubelet".to_owned()],
        systems: vec![system("wamr-shim", true), system("runc-native", false)],
    };
    let json = |name: &str, text: String| fs::write(dir.join(name), text).unwrap();
    json(NAME, serde_json::to_string(&churn).unwrap());
    json("environment.json", serde_json::to_string(&environment(&Recipe::demo())).unwrap());
    json("journal.ndjson", "{\"at_ns\":1,\"event\":\"begin\"}\n".to_owned());
    json("series/wamr-shim.csv", series(leaks));
    json("series/runc-native.csv", series(Leaks { shim_bytes: 900, mounts: 1 }));
    write_manifest(dir, BEGIN_NS + 200_000_000_000);
}

#[test]
fn a_churn_is_verified_built_and_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    write_churn(&dir.path().join("run"), Leaks::default(), true);
    let verified = program(&["verify", "run"], dir.path());
    assert_eq!(words(&verified.stdout), "5 files compared, 2 systems read, no defect\n");
    let built = program(&["build", "run"], dir.path());
    assert_eq!(words(&built.stdout), "run/report/index.html\n", "{}", words(&built.stderr));
    let report = |name: &str| fs::read_to_string(dir.path().join("run/report").join(name)).unwrap();
    insta::assert_snapshot!("churn_md", report("report.md"));
    assert!(report("index.html").contains("Flat: nothing of this project grows"));
    assert!(report("figures/churn-shim.svg").contains("RUNC-NATIVE"));
    assert!(report("tables/trends.csv").contains("wamr-shim,shim,anon_bytes,yes,500000,500000,0"));
    assert!(report("numbers.json").contains("\"flatness\": \"grows\""), "the kubelet grows");
    assert!(!dir.path().join("run/report/claims.json").exists());
    assert!(program(&["verify", "run"], dir.path()).status.success(), "the report is no part");
    let summary = words(&program(&["summary", "run"], dir.path()).stdout);
    assert!(summary.starts_with("Flat: nothing"), "{summary}");
}

#[test]
fn what_grows_is_named() {
    for (leaks, what) in [
        (Leaks { shim_bytes: 32, mounts: 0 }, "not flat: shim anon_bytes"),
        (Leaks { shim_bytes: 0, mounts: 1 }, "not flat: node mounts"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_churn(&dir.path().join("run"), leaks, false);
        let summary = words(&program(&["summary", "run"], dir.path()).stdout);
        assert!(summary.starts_with("Not flat") && summary.contains(what), "{summary}");
        assert!(summary.contains("broken off"), "{summary}");
    }
}

#[test]
fn defects_of_a_churn_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    write_churn(&run, Leaks::default(), true);
    let file = run.join("series/wamr-shim.csv");
    let torn = fs::read_to_string(&file).unwrap().replacen(",shim,", ",sh im,", 1);
    fs::write(&file, torn).unwrap();
    fs::remove_file(run.join("series/runc-native.csv")).unwrap();
    let verified = program(&["verify", "run"], dir.path());
    let told = words(&verified.stdout);
    assert_eq!(verified.status.code(), Some(1));
    assert!(told.contains("series/wamr-shim.csv:2: not a reading"), "{told}");
    assert!(told.contains("series/runc-native.csv: missing"), "{told}");
    assert_eq!(program(&["build", "run"], dir.path()).status.code(), Some(1));
    assert!(program(&["build", "run", "--with-defects"], dir.path()).status.success());
}
