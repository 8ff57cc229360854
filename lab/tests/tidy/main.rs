//! The house rules as a test: sizes, names, rooms of `unsafe`, links, leftovers.
//!
//! It needs nothing but the standard library, so `make tidy` compiles it alone, in seconds, before
//! anything else is built. A finding says what to do; the reasons stand in CONTRIBUTING.md.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

mod document;
mod layout;
mod size;
mod word;

/// Where the rules stand in the repository.
const RULES: &str = "lab/tests/tidy";

/// The rules as they were compiled.
const COMPILED: [(&str, &str); 5] = [
    ("document.rs", include_str!("document.rs")),
    ("layout.rs", include_str!("layout.rs")),
    ("main.rs", include_str!("main.rs")),
    ("size.rs", include_str!("size.rs")),
    ("word.rs", include_str!("word.rs")),
];

/// A file of the repository, as far as the rules look at it.
struct SourceFile {
    /// Path from the repository's root, with `/`.
    path: String,
    /// Its text; empty if it is not UTF-8.
    text: String,
    size_bytes: u64,
}

/// A broken rule.
struct Finding {
    path: String,
    /// From 1.
    line: usize,
    what: String,
    remedy: &'static str,
}

impl SourceFile {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The part of the name behind the last dot; empty if there is none.
    fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Files that people write as program text.
    fn is_source(&self) -> bool {
        matches!(self.extension(), "rs" | "py" | "sh" | "nix" | "c" | "toml" | "cmake")
            || self.name() == "Makefile"
            || self.text.starts_with("#!")
    }

    fn finding(&self, line: usize, what: impl Into<String>, remedy: &'static str) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), remedy }
    }
}

/// A file as the tests of the rules make it.
#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned(), size_bytes: text.len() as u64 }
}

/// The repository that is looked at: the one that the current directory lies in, wherever this
/// program was compiled.
fn repository() -> PathBuf {
    let here = env::current_dir().expect("the current directory can be asked for");
    let root = here.ancestors().find(|folder| folder.join(RULES).is_dir());
    let root = root.unwrap_or_else(|| {
        panic!("no folder above {} has {RULES}: call it inside a checkout", here.display())
    });
    root.to_owned()
}

/// The files of `root` with rules that this program was not compiled from.
fn other_rules(root: &Path) -> Vec<&'static str> {
    let differs = |(name, text): &&(&str, &str)| {
        fs::read_to_string(root.join(RULES).join(name)).ok().as_deref() != Some(text)
    };
    COMPILED.iter().filter(differs).map(|(name, _)| *name).collect()
}

/// Every file that git tracks or would track; without git, every file outside build directories.
fn paths(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let mut paths: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        _ => walk(root, ""),
    };
    paths.sort();
    paths
}

fn walk(root: &Path, below: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let Ok(entries) = fs::read_dir(root.join(below)) else { return paths };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let built = name.starts_with("target") || ["dist", "runs", ".git"].contains(&&*name);
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !(built && below.is_empty()) => {
                paths.extend(walk(root, &path));
            }
            Ok(kind) if kind.is_file() => paths.push(path),
            _ => {}
        }
    }
    paths
}

fn read(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for path in paths(root) {
        // A file that was deleted but is still tracked is no concern of these rules.
        let Ok(bytes) = fs::read(root.join(&path)) else { continue };
        let size_bytes = bytes.len() as u64;
        files.push(SourceFile {
            path,
            text: String::from_utf8(bytes).unwrap_or_default(),
            size_bytes,
        });
    }
    files
}

#[test]
fn the_repository_keeps_its_rules() {
    let root = repository();
    // Past the capture of output: the reader shall see it when all is well, too.
    writeln!(io::stderr(), "tidy looks at {}", root.display()).expect("standard error is open");
    let stale = other_rules(&root);
    assert!(stale.is_empty(), "compiled from another {stale:?} than {RULES} holds: build it anew");
    let files = read(&root);
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "found no files to look at");
    let mut findings = Vec::new();
    for file in &files {
        size::check(file, &mut findings);
        word::check(file, &mut findings);
        layout::check(file, &mut findings);
    }
    document::check(&files, &mut findings);
    findings.sort_by(|a: &Finding, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    let mut report = String::new();
    for Finding { path, line, what, remedy } in &findings {
        writeln!(report, "{path}:{line}: {what}: {remedy}").expect("a String takes every write");
    }
    assert!(findings.is_empty(), "{} findings\n{report}", findings.len());
}
