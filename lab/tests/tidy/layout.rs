//! Names of files and folders, and what every Rust file begins with.

use crate::{Finding, SourceFile};

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared"];

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    let remedy = "name it after what it does";
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            findings.push(file.finding(1, format!("the name `{part}`"), remedy));
        }
    }
    if let [.., folder, name] = file.path.split('/').collect::<Vec<_>>()[..]
        && name.split_once('.').is_some_and(|(stem, _)| stem == folder)
        && matches!(file.extension(), "rs" | "py" | "sh" | "nix" | "c")
    {
        let what = format!("`{name}` repeats its folder");
        findings.push(file.finding(1, what, "name it after its part of the folder's work"));
    }
    if file.extension() != "rs" {
        return;
    }
    if !file.text.starts_with("//! ") {
        let what = "the file does not begin with `//!`";
        findings.push(file.finding(1, what, "say in a sentence what it is for"));
    }
    for (index, line) in file.text.lines().enumerate() {
        let module = line.trim().trim_start_matches("pub ").strip_prefix("mod ");
        if let Some(name) = module.map(|rest| rest.trim_end_matches([';', '{', ' ']))
            && EMPTY_NAMES.contains(&name)
        {
            findings.push(file.finding(index + 1, format!("the module `{name}`"), remedy));
        }
    }
}

#[test]
fn each_name_says_what_is_inside() {
    let table = [
        ("lab/src/utils.rs", "//! x", "the name `utils.rs`"),
        ("nixos-tests/common/a.nix", "", "the name `common`"),
        ("lab/src/mount/mount.rs", "//! x", "`mount.rs` repeats"),
        ("lab/src/a.rs", "mod b;", "the file does not begin"),
        ("lab/src/a.rs", "//! x\npub mod helpers {", "the module `helpers`"),
        ("lab/src/mount/apply.rs", "//! x\nmod inner;", ""),
        ("vm-images/stack/stack.toml", "", ""),
    ];
    for (path, text, want) in table {
        let mut findings = Vec::new();
        check(&crate::file(path, text), &mut findings);
        let got: String = findings.into_iter().map(|finding| finding.what).collect();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{path}: {got}");
    }
}
