//! The promised numbers of system calls: create, start, kill and delete of one container.
//!
//! They are counted in the arena on this machine's root; no node image is needed.
//!
//! Tier: test

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What a container runs, by which engine, and the most calls of the four verbs together: those of
/// docs/specification.md and 5 % more, for kernels differ. Of `auto` the second container counts:
/// the first one waits until its module is compiled.
const MOST: [(&str, &str, u64); 3] =
    [("native", "interpreted", 1113), ("wasm", "interpreted", 1117), ("wasm", "auto", 1117)];

/// The calls of the last container of each kind, of the runtime in the directory `bin`.
fn counted(bin: &Path, engine: &str, out: &Path) -> BTreeMap<String, u64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamr-bench"));
    command.args(["speed", "--image", "/", "--runtimes", "wamr-crun", "--rounds", "0"]);
    command.args(["--engine", engine, "--warm-up", "0", "--counted", "2", "--bin"]).arg(bin);
    let output = command.arg("--out").arg(out).output().expect("start wamr-bench");
    assert!(output.status.success(), "{output:?}");
    let mut calls = BTreeMap::new();
    let mut rows = csv::Reader::from_path(out.with_file_name("syscalls.csv")).expect("counts");
    for row in rows.deserialize() {
        let row: BTreeMap<String, String> = row.expect("a row of counts");
        let count: u64 = row["syscalls"].parse().expect("a number");
        if row["round"] == "1" {
            *calls.entry(row["kind"].clone()).or_default() += count;
        }
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
    for engine in ["interpreted", "auto"] {
        let calls = counted(bin, engine, &directory.path().join("lifecycle.csv"));
        println!("{engine}: system calls of create, start, kill and delete: {calls:?}");
        for (kind, _, most) in MOST.iter().filter(|(_, of, _)| *of == engine) {
            assert!((1..=*most).contains(&calls[*kind]), "{kind}: {} calls", calls[*kind]);
        }
    }
}
