//! Documents: relative links lead somewhere, and the paths and commands they name exist.

use std::collections::BTreeSet;

use crate::{Finding, SourceFile};

pub fn check(files: &[SourceFile], findings: &mut Vec<Finding>) {
    let targets = make_targets(files);
    let named = Named::of(files);
    // A template's links are those of the document that it becomes.
    let is_document =
        |file: &&SourceFile| file.extension() == "md" && !file.path.contains("/templates/");
    for file in files.iter().filter(is_document) {
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if !fenced {
                for link in links(line).into_iter().filter(|link| !leads_on(files, file, link)) {
                    let what = format!("the link {link} leads nowhere");
                    findings.push(file.finding(index + 1, what, "correct the path or the heading"));
                }
            }
            let code: Vec<&str> =
                if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            for path in code.iter().flat_map(|code| words(code)).filter(|path| !named.exists(path))
            {
                let what = format!("there is no {path}");
                findings.push(file.finding(index + 1, what, "name what is there"));
            }
            for target in named_targets(&code) {
                if !targets.contains(target) {
                    let what = format!("the Makefile has no target {target}");
                    findings.push(file.finding(index + 1, what, "name one that `make help` lists"));
                }
            }
        }
    }
}

fn make_targets(files: &[SourceFile]) -> BTreeSet<&str> {
    let makefile = files.iter().find(|file| file.path == "Makefile");
    let lines = makefile.map_or("", |file| &file.text).lines();
    lines.filter_map(|line| line.split_once(':')).map(|(target, _)| target).collect()
}

/// What a document can name: the paths of all files, and their first and last parts.
struct Named<'a> {
    paths: BTreeSet<&'a str>,
    top_folders: BTreeSet<&'a str>,
    file_names: BTreeSet<&'a str>,
}

impl<'a> Named<'a> {
    fn of(files: &'a [SourceFile]) -> Self {
        let paths = || files.iter().map(|file| file.path.as_str());
        Self {
            paths: paths().collect(),
            top_folders: paths().filter_map(|path| Some(path.split_once('/')?.0)).collect(),
            file_names: files.iter().map(SourceFile::name).collect(),
        }
    }

    /// False for a path or a program text of this repository that is not there.
    fn exists(&self, word: &str) -> bool {
        match word.trim_end_matches('/').split_once('/') {
            Some((top, _)) if self.top_folders.contains(top) => self.leads_somewhere(word),
            Some(_) => true,
            None => {
                let is_text =
                    [".rs", ".py", ".sh", ".nix"].iter().any(|ending| word.ends_with(ending));
                !is_text || word.contains('*') || self.file_names.contains(word)
            }
        }
    }

    /// A part in capitals, like NAME, stands for any.
    fn leads_somewhere(&self, path: &str) -> bool {
        let is_placeholder = |part: &str| !part.contains(|c: char| !c.is_ascii_uppercase());
        let parts = path.trim_end_matches('/').split('/');
        let pattern: Vec<&str> =
            parts.map(|part| if is_placeholder(part) { "*" } else { part }).collect();
        let pattern = pattern.join("/");
        self.paths.iter().any(|path| matches(&pattern, path))
    }
}

/// The words of a command or of a code span that may be paths.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || ",;:=\"'()<>".contains(c);
    code.split(between).map(|word| word.trim_end_matches('.'))
}

/// True if `pattern` is `path` or a folder above it; `*` stands for anything within a part.
fn matches(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return path
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    };
    let Some(rest) = path.strip_prefix(before) else { return false };
    let part = rest.split('/').next().unwrap_or_default();
    let ends = part.char_indices().map(|(at, _)| at).chain([part.len()]);
    ends.into_iter().any(|end| matches(after, &rest[end..]))
}

/// The targets behind `make` where a document shows commands.
fn named_targets<'a>(commands: &[&'a str]) -> Vec<&'a str> {
    let mut targets = Vec::new();
    for command in commands {
        let Some(rest) = command.trim_start().trim_start_matches("sudo ").strip_prefix("make ")
        else {
            continue;
        };
        let words = rest.split_whitespace().take_while(|word| !word.starts_with('#'));
        targets.extend(words.filter(|word| !word.contains('=') && !word.starts_with('-')));
    }
    targets
}

/// The relative targets of Markdown links and of `src=` and `href=` on a line.
fn links(line: &str) -> Vec<&str> {
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let mut found = Vec::new();
    for part in prose {
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            for (at, _) in part.match_indices(open) {
                let rest = &part[at + open.len()..];
                found.extend(rest.split_once(close).map(|(link, _)| link));
            }
        }
    }
    found.retain(|link| !link.contains("://") && !link.starts_with("mailto:"));
    found
}

fn leads_on(files: &[SourceFile], from: &SourceFile, link: &str) -> bool {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = if path.is_empty() { from.path.clone() } else { resolve(&from.path, path) };
    let folder = format!("{path}/");
    match files.iter().find(|file| file.path == path) {
        Some(file) => heading.is_empty() || headings(&file.text).any(|slug| slug == heading),
        None => heading.is_empty() && files.iter().any(|file| file.path.starts_with(&folder)),
    }
}

/// `link` as seen from the file `from`, as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors that GitHub and GitLab make of headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

#[test]
fn links_and_commands_are_followed() {
    let table = [
        ("[a](docs/A.md)", ""),
        ("[a](docs/A.md#two-words)", ""),
        ("[a](docs/)", ""),
        ("[a](#top)", ""),
        ("[a](https://example.org/x)", ""),
        ("`[a](gone.md)`", ""),
        ("```\n[a](gone.md)\n```", ""),
        ("[a](gone.md)", "the link gone.md"),
        ("[a](docs/A.md#three)", "the link docs/A.md#three"),
        ("<img src=\"gone.svg\">", "the link gone.svg"),
        ("run `make demo`", ""),
        ("run `make demos`", "the Makefile has no target demos"),
        ("```\nsudo make -k test A=b  # c\n```", "the Makefile has no target test"),
        ("they make tests", ""),
        ("see `docs/A.md`, `docs/` and `docs/*.md`", ""),
        ("see `docs/*.svg`", "there is no docs/*.svg"),
        ("see `docs/B.md`", "there is no docs/B.md"),
        ("see `shim/src/NAME`, `shim/*/run.rs` and `run.rs`", ""),
        ("see `shim/src/gone/`", "there is no shim/src/gone/"),
        ("see `shim/s*/gone.rs`", "there is no shim/s*/gone.rs"),
        ("see `gone.rs`", "there is no gone.rs"),
        ("see `other/gone`, `config.json` and `/etc/docs/B`", ""),
        ("```\nrun shim/run.toml --out runs/x\n```", "there is no shim/run.toml"),
    ];
    for (text, want) in table {
        let files = [
            crate::file("README.md", &format!("# Top\n{text}\n")),
            crate::file("docs/A.md", "## Two words!\n[up](../README.md)\n"),
            crate::file("Makefile", "demo: build ## x\n"),
            crate::file("shim/src/task/run.rs", "//! x\n"),
            crate::file("shim/src/run.rs", "//! x\n"),
        ];
        let mut findings = Vec::new();
        check(&files, &mut findings);
        let got: String = findings.into_iter().map(|finding| finding.what).collect();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{text}: {got}");
    }
}
