//! Words that do not belong into the repository, or only into a room of their own.

use crate::{Finding, SourceFile};

/// Notes to oneself: an issue is the place for them. Split, so that they are not found here.
const LEFTOVERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

/// Directories of somebody's machine.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp", "/target")];

/// Lints that the compiler and clippy enforce everywhere but where they are named.
const UNSAFE_LINT: &str = concat!("unsafe", "_code");
const LENGTH_LINT: &str = concat!("too_many", "_lines");

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.is_source() || matches!(file.extension(), "md" | "yaml" | "yml" | "html") {
        for word in LEFTOVERS {
            for line in lines_with_word(&file.text, word) {
                findings.push(file.finding(line, format!("`{word}`"), "do it, or open an issue"));
            }
        }
        check_machine_paths(file, findings);
    }
    if file.extension() == "rs" {
        let room = "wrap the call in the crate's sys module and call that";
        let step = "move a step of the function into one of its own";
        for (lint, remedy) in [(UNSAFE_LINT, room), (LENGTH_LINT, step)] {
            let allowed = lint == UNSAFE_LINT && may_be_unsafe(&file.path);
            for line in lines_with_word(&file.text, lint).into_iter().filter(|_| !allowed) {
                findings.push(file.finding(line, format!("the lint {lint} is changed"), remedy));
            }
        }
    }
    // What the peers under test are made of is their projects' own.
    if file.name() == "Cargo.toml"
        && file.text.contains("[package]")
        && !file.path.starts_with("vm-images/peers/")
        && !["[lints]\nworkspace = true", &format!("{UNSAFE_LINT} = \"deny\"")]
            .iter()
            .any(|lints| file.text.contains(lints))
    {
        let what = "a package without the workspace's lints";
        findings.push(file.finding(1, what, "add `[lints]` with `workspace = true`"));
    }
}

/// The lines, from 1, on which `word` stands as a word of its own.
fn lines_with_word(text: &str, word: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let holds = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
        })
    };
    text.lines().enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at + 1).collect()
}

/// The rooms of `unsafe`: files and folders called sys, and the runner's boundary to WAMR.
fn may_be_unsafe(path: &str) -> bool {
    path.ends_with("/sys.rs")
        || path.contains("/sys/")
        || path == "runtime/runner/src/wamr.rs"
        || path.starts_with("runtime/runner/src/wamr/")
}

/// `/proc/PID/root/…` is no path of a machine: it begins earlier.
fn check_machine_paths(file: &SourceFile, findings: &mut Vec<Finding>) {
    let part_of_longer =
        |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "}>)_*.-".contains(c));
    // The JSON pointer to a property of config.json.
    let is_pointer = |rest: &str| rest.starts_with("/root/readonly");
    for (index, line) in file.text.lines().enumerate() {
        for path in MACHINE_PATHS {
            if line
                .match_indices(path)
                .any(|(at, _)| !part_of_longer(&line[..at]) && !is_pointer(&line[at..]))
            {
                let remedy = "take it from an argument, a variable or the file's own place";
                findings.push(file.finding(index + 1, format!("machine path {path}"), remedy));
            }
        }
    }
}

#[test]
fn each_word_is_found_in_its_place_only() {
    let leftover = format!("//! a {}: b", LEFTOVERS[0]);
    let macro_call = format!("{}()", LEFTOVERS[3]);
    let machine = format!("a(\"{}x\")", MACHINE_PATHS[1]);
    let allow_unsafe = format!("#![allow({UNSAFE_LINT})]");
    let allow_length = format!("#[allow(clippy::{LENGTH_LINT})]");
    let longer_word = format!("a_{UNSAFE_LINT} {LENGTH_LINT}_b");
    let table = [
        ("a.rs", &*leftover, "`"),
        ("a.md", &*leftover, "`"),
        ("a.rs", &*macro_call, "`"),
        ("a.sh", "mktemp /tmp/a.XXXXXX", ""),
        ("a.sh", &*machine, "machine path"),
        ("a.rs", "format!(\"/proc/{pid}/root/proc\")", ""),
        ("a.rs", "set(\"/root/readonly\", true)", ""),
        ("runtime/src/a.rs", &*allow_unsafe, "the lint"),
        ("runtime/src/sys/a.rs", &*allow_unsafe, ""),
        ("lab/node/src/sys.rs", &*allow_unsafe, ""),
        ("runtime/runner/src/wamr.rs", &*allow_unsafe, ""),
        ("runtime/src/sys/a.rs", &*allow_length, "the lint"),
        ("a.rs", &*longer_word, ""),
        ("lab/Cargo.toml", "[package]\n[lints]\nworkspace = true\n", ""),
        ("lab/Cargo.toml", "[package]\n", "a package"),
        ("vm-images/peers/a/Cargo.toml", "[package]\n", ""),
    ];
    for (path, text, want) in table {
        let mut findings = Vec::new();
        check(&crate::file(path, text), &mut findings);
        let got: String = findings.into_iter().map(|finding| finding.what).collect();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{path} {text}: {got}");
    }
}
