//! Sizes: what fits on a screen and in a head.

use crate::{Finding, SourceFile};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const LINE_COLUMNS: usize = 100;
const FLAKE_LINES: usize = 100;
const BLOB_BYTES: u64 = 1 << 20;

/// On the line above a longer one, with the reason behind it.
const LONG_LINE_MARK: &str = concat!("tidy", ": long line, ");

pub fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.size_bytes > BLOB_BYTES && !file.path.starts_with("data/") {
        let what = format!("{} bytes, the limit outside data/ is {BLOB_BYTES}", file.size_bytes);
        findings.push(file.finding(1, what, "build it, or move it below data/"));
    }
    if !file.is_source() {
        return;
    }
    let lines = file.text.lines().count();
    let limit = if file.name() == "flake.nix" { FLAKE_LINES } else { FILE_LINES };
    if lines > limit {
        let what = format!("{lines} lines, the limit is {limit}");
        findings.push(file.finding(limit + 1, what, "split it by what its parts are for"));
    }
    if file.extension() != "toml" {
        check_columns(file, findings);
    }
    for (name, line, length) in long_functions(file) {
        let what = format!("`{name}` has {length} lines, the limit is {FUNCTION_LINES}");
        findings.push(file.finding(line, what, "move a step of it into a function of its own"));
    }
}

fn check_columns(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut excused = false;
    for (index, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS && !excused && !line.contains("://") {
            let what = format!("{columns} columns, the limit is {LINE_COLUMNS}");
            let remedy = "break the line; if it cannot be, the line above says why";
            findings.push(file.finding(index + 1, what, remedy));
        }
        if line != line.trim_end() {
            let remedy = "remove the white space at the end";
            findings.push(file.finding(index + 1, "white space at the end", remedy));
        }
        excused = line.contains(LONG_LINE_MARK);
    }
}

/// Name, first line and length of every function that is too long; of Rust's clippy knows.
fn long_functions(file: &SourceFile) -> Vec<(String, usize, usize)> {
    let all: Vec<_> = match file.extension() {
        "rs" => Vec::new(),
        "py" => indented_functions(&file.text),
        _ => outer_blocks(&file.text),
    };
    all.into_iter().filter(|&(_, _, length)| length > FUNCTION_LINES).collect()
}

/// C and shell, as this repository writes them: from a head at the left edge to `}` there.
fn outer_blocks(text: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut head = None;
    for (index, line) in text.lines().enumerate() {
        if line.contains('(') && line.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            head = Some((line.split('(').next().unwrap_or_default().to_owned(), index));
        } else if line.starts_with('}')
            && let Some((name, begin)) = head.take()
        {
            found.push((name, begin + 1, index - begin + 1));
        }
    }
    found
}

/// Python: from `def` to the last line that is indented more.
fn indented_functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (begin, line) in lines.iter().enumerate() {
        let Some(name) = line.trim_start().strip_prefix("def ") else { continue };
        let length = lines[begin + 1..]
            .iter()
            .take_while(|next| next.trim().is_empty() || indent(next) > indent(line))
            .count();
        let name = name.split('(').next().unwrap_or_default().to_owned();
        found.push((name, begin + 1, length + 1));
    }
    found
}

#[test]
fn each_size_has_a_limit() {
    let body = "x\n".repeat(70);
    let indented = "    x\n".repeat(70);
    let wide = "x".repeat(101);
    let table = [
        ("a.rs", "//!\n".repeat(501), "501 lines"),
        ("flake.nix", "#\n".repeat(101), "101 lines"),
        ("a.c", format!("int a(void)\n{{\n{body}}}\n"), "`int a` has 73 lines"),
        ("a.sh", format!("a() {{\n{body}}}\n"), "`a` has 72 lines"),
        ("a.py", format!("def a():\n{indented}\nb\n"), "`a` has 72 lines"),
        ("a.nix", wide.clone(), "101 columns"),
        ("Makefile", wide.clone(), "101 columns"),
        ("a.rs", "a \n".to_owned(), "white space"),
        ("a.bin", "x".repeat((1 << 20) + 1), "1048577 bytes"),
        ("data/a.bin", "x".repeat((1 << 20) + 1), ""),
        ("a.rs", format!("// {LONG_LINE_MARK}snapshot\n{wide}\n"), ""),
        ("a.rs", format!("// https://{wide}\n"), ""),
        ("a.toml", wide.clone(), ""),
        ("a.md", wide, ""),
        ("a.rs", "//!\n".repeat(500), ""),
    ];
    for (path, text, want) in table {
        let mut findings = Vec::new();
        check(&crate::file(path, &text), &mut findings);
        let got: String = findings.into_iter().map(|finding| finding.what).collect();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{path}: {got}");
    }
}
