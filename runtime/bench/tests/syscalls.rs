//! The promised numbers of system calls: create, start, kill and delete of one container.
//!
//! They are counted in the arena on this machine's root; no node image is needed.
//!
//! Tier: test

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What a container runs, and the most calls of the four verbs together: those of
/// data/bench/syscalls.csv and 5 % more, for kernels differ.
const MOST: [(&str, u64); 2] = [("native", 1113), ("wasm", 1117)];

/// The calls by kind, of the runtime in the directory `bin`.
fn counted(bin: &Path, out: &Path) -> BTreeMap<String, u64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamr-bench"));
    command.args(["speed", "--image", "/", "--runtimes", "wamr-crun", "--rounds", "0"]);
    command.args(["--warm-up", "0", "--counted", "1", "--bin"]).arg(bin).arg("--out").arg(out);
    let output = command.output().expect("start wamr-bench");
    assert!(output.status.success(), "{output:?}");
    let mut calls = BTreeMap::new();
    let mut rows = csv::Reader::from_path(out.with_file_name("syscalls.csv")).expect("counts");
    for row in rows.deserialize() {
        let row: BTreeMap<String, String> = row.expect("a row of counts");
        let count: u64 = row["syscalls"].parse().expect("a number");
        *calls.entry(row["kind"].clone()).or_default() += count;
    }
    calls
}

#[test]
fn a_containers_life_takes_no_more_calls_than_promised() {
    let Some(runtime) = wamr_testing::program("wamr-crun") else { return };
    if !wamr_testing::is_root() {
        return;
    }
    let bin = runtime.parent().expect("a program is in a directory");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let calls = counted(bin, &directory.path().join("lifecycle.csv"));
    println!("system calls of create, start, kill and delete: {calls:?}");
    for (kind, most) in MOST {
        assert!((1..=most).contains(&calls[kind]), "{kind}: {} calls", calls[kind]);
    }
}
