//! The command line as users and engines see it: exit status, stdout and stderr. No root needed.
//!
//! Tier: quick

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wamr-crun")).args(arguments).output().unwrap()
}

fn shown(arguments: &[&str]) -> String {
    let output = run(arguments);
    format!(
        "status: {}\nstdout: {}\nstderr: {}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn version_has_the_lines_that_engines_read() {
    let want = "status: 0\nstdout: wamr-crun version 0.1.0\nspec: 1.3.0\n\nstderr: ";
    assert_eq!(shown(&["--version"]), want);
}

#[test]
fn help_lists_the_verbs() {
    insta::assert_snapshot!(shown(&["--help"]));
}

#[test]
fn unknown_containers() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    for verb in ["state", "start", "kill", "delete"] {
        let text = shown(&["--root", root, verb, "nobody"]);
        let said = "wamr-crun: error: container does not exist: \"nobody\"\n";
        assert_eq!(text, format!("status: 1\nstdout: \nstderr: {said}"), "{verb}");
    }
    let text = shown(&["--root", root, "delete", "--force", "nobody"]);
    assert_eq!(text, "status: 0\nstdout: \nstderr: ");
}

#[test]
fn names_that_are_none() {
    insta::assert_snapshot!(shown(&["state", "../x"]));
}

#[test]
fn signals_that_are_none() {
    insta::assert_snapshot!(shown(&["kill", "x", "SIGNOTHING"]));
}

#[test]
fn errors_reach_the_json_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.json");
    let root = directory.path().join("root");
    let (log_text, root_text) = (log.to_str().unwrap(), root.to_str().unwrap());
    run(&["--root", root_text, "--log", log_text, "--log-format", "json", "state", "nobody"]);
    let text = std::fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container does not exist: \"nobody\"");
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn an_empty_list() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    assert_eq!(shown(&["--root", root, "list", "--quiet"]), "status: 0\nstdout: \nstderr: ");
    let json = shown(&["--root", root, "list", "--format", "json"]);
    assert_eq!(json, "status: 0\nstdout: []\n\nstderr: ");
}

#[test]
fn features_are_json() {
    let output = run(&["features"]);
    let features: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
}
