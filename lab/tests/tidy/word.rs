//! Words that do not belong into the repository, or only into a room of their own.

use crate::rust_source::{code_only, lines_with_word};
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

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.is_source() || matches!(file.extension(), "md" | "yaml" | "yml" | "html") {
        for word in LEFTOVERS {
            for line in lines_with_word(&file.text, word) {
                findings.push(file.finding(line, format!("`{word}`"), "do it, or open an issue"));
            }
        }
        check_machine_paths(file, findings);
    }
    if file.extension() == "rs" && !may_be_unsafe(&file.path) {
        let remedy = "wrap the call in the crate's sys module and call that";
        for line in lines_with_word(&code_only(&file.text), "unsafe") {
            findings.push(file.finding(line, "`unsafe` outside its room", remedy));
        }
        for line in lines_with_word(&code_only(&file.text), "unsafe_code") {
            findings.push(file.finding(line, "a lint of `unsafe` is changed here", remedy));
        }
    }
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
    let table = [
        ("a.rs", &*leftover, "`"),
        ("a.md", &*leftover, "`"),
        ("a.rs", &*macro_call, "`"),
        ("a.sh", "mktemp /tmp/a.XXXXXX", ""),
        ("a.sh", &*machine, "machine path"),
        ("a.rs", "format!(\"/proc/{pid}/root/proc\")", ""),
        ("a.rs", "set(\"/root/readonly\", true)", ""),
        ("runtime/src/a.rs", "unsafe { b() }", "`unsafe`"),
        ("runtime/src/a.rs", "#![allow(unsafe_code)]", "a lint"),
        ("runtime/src/a.rs", "// unsafe\n\"unsafe\"", ""),
        ("runtime/src/sys/a.rs", "#![allow(unsafe_code)]\nunsafe { b() }", ""),
        ("lab/node/src/sys.rs", "unsafe { b() }", ""),
        ("runtime/runner/src/wamr.rs", "unsafe { b() }", ""),
    ];
    for (path, text, want) in table {
        let mut findings = Vec::new();
        check(&crate::file(path, text), &mut findings);
        let got: String = findings.into_iter().map(|finding| finding.what).collect();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{path} {text}: {got}");
    }
}
