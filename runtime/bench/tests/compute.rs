//! The timing of programs from their sources to the page, in the arena on this machine's root.
//!
//! Tier: test

use std::fs;
use std::path::Path;
use std::process::Command;

fn bench(arguments: &[&str], paths: &[(&str, &Path)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamr-bench"));
    command.args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let output = command.output().expect("start wamr-bench");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn programs_are_made_run_by_each_engine_and_shown() {
    let Some(bin) = wamr_testing::resident() else { return };
    if !wamr_testing::is_root() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [made, data, page] = ["made", "data", "page.md"].map(|name| directory.path().join(name));
    let which = ["--programs", "cpu,small"];
    let build = [&["compute-build"], &which[..]].concat();
    bench(&build, &[("--repository", &root), ("--out", &made), ("--cache", directory.path())]);
    let engines = ["--engines", "native,compiled,compiled-cold,interpreted,crun-wasmtime"];
    let run = [&["compute", "--image", "/", "--rounds", "2"], &which[..], &engines].concat();
    bench(&run, &[("--bin", &bin), ("--made", &made), ("--out", &data)]);

    let rows = fs::read_to_string(data.join("runs.csv")).expect("the runs");
    // Two programs by four engines, but the loop not by the one that begins with an empty cache.
    assert_eq!(rows.lines().count(), 1 + 2 * 7, "{rows}");
    let left_out = fs::read_to_string(data.join("left-out.csv")).expect("what was left out");
    assert!(left_out.contains(",crun-wasmtime,"), "{left_out}");
    let data_path = data.to_string_lossy().into_owned();
    bench(&["compute-page", &data_path], &[("--out", &page)]);
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.contains("| geometric mean |") && page.contains("a small C program"), "{page}");
}
