//! The licences of what the shipped programs are made of, as a text that is installed with them.
//!
//! Cargo knows the crates, and each crate brings its texts along. Equal texts are printed once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use serde_json::Value;

const APACHE: &str = include_str!("../../LICENSE");
const LGPL: &str = include_str!("../LGPL-2.1.txt");

/// What a package installs in its folder of documents.
pub struct Shipment {
    /// The folder below `share/doc`.
    pub folder: &'static str,
    /// The crates of its programs.
    programs: &'static [&'static str],
    /// What is linked into them and is no crate: name, licence, source, text.
    linked: &'static [[&'static str; 4]],
}

const RUST: [&str; 4] =
    ["Rust's standard library", "MIT OR Apache-2.0", "https://www.rust-lang.org/", APACHE];

/// The package of the runtime with static programs, and the lab with what it finds on its machine.
pub const SHIPMENTS: [Shipment; 2] = [
    Shipment {
        folder: "wamr-crun",
        programs: &[
            "wamr-crun",
            "wamr-runner",
            "wasmtime-runner",
            "wamr-compile",
            "containerd-shim-wamr-crun-v1",
        ],
        linked: &[
            RUST,
            ["GNU C library", "LGPL-2.1-or-later", "https://www.gnu.org/software/libc/", LGPL],
            ["libseccomp", "LGPL-2.1-only", "https://github.com/seccomp/libseccomp", LGPL],
        ],
    },
    Shipment { folder: "wamr-lab", programs: &["wamr-lab", "wamr-report"], linked: &[RUST] },
];

/// A part of a program.
#[derive(Debug, Clone, Default)]
struct Part {
    /// Name and version.
    name: String,
    licence: String,
    source: String,
    texts: Vec<String>,
}

/// The whole text for `shipment`.
///
/// # Errors
/// Cargo fails, or a crate has no text of its licence.
pub fn text(shipment: &Shipment) -> io::Result<String> {
    let known = crates()?;
    let mut arguments =
        vec!["tree", "--locked", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}"];
    arguments.extend(shipment.programs.iter().flat_map(|program| ["--package", program]));
    let tree = cargo(&arguments)?;
    // "name v1.2.3", and behind it the folder if it is one of this workspace.
    let others = tree.lines().filter(|line| !line.is_empty() && !line.contains(" (/"));
    let mut names: Vec<&str> = others.map(|line| line.trim_end_matches(" (*)")).collect();
    names.sort_unstable();
    names.dedup();
    let linked = shipment.linked.iter().map(|[name, licence, source, text]| Part {
        name: (*name).to_owned(),
        licence: (*licence).to_owned(),
        source: (*source).to_owned(),
        texts: vec![(*text).to_owned()],
    });
    let crates = names.iter().map(|name| with_texts(name, &known));
    let parts: Vec<Part> = linked.map(Ok).chain(crates).collect::<io::Result<_>>()?;
    Ok(document(shipment.programs, &parts))
}

/// The crate `name`; one that forgot its text has that of its repository, or the standard one.
fn with_texts(name: &str, known: &BTreeMap<String, Part>) -> io::Result<Part> {
    let part = known.get(name).ok_or_else(|| other(format!("cargo metadata lacks {name}")))?;
    let mut part = part.clone();
    if part.texts.is_empty() && part.licence.contains("Apache-2.0") {
        part.texts.push(APACHE.to_owned());
    }
    if part.texts.is_empty() {
        let is_sibling =
            |other: &&Part| other.source == part.source && other.licence == part.licence;
        let texts = known.values().filter(is_sibling).map(|sibling| &sibling.texts);
        part.texts = texts.flatten().cloned().collect();
    }
    if part.texts.is_empty() {
        return Err(other(format!("{name} is under {} and brings no text of it", part.licence)));
    }
    Ok(part)
}

fn document(programs: &[&str], parts: &[Part]) -> String {
    let mut texts: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut list = String::new();
    for part in parts {
        let mut numbers = Vec::new();
        for text in &part.texts {
            let text = text.trim_matches('\n');
            let place = texts.iter().position(|(known, _)| *known == text).unwrap_or_else(|| {
                texts.push((text, Vec::new()));
                texts.len() - 1
            });
            texts[place].1.push(&part.name);
            numbers.push(format!("[{}]", place + 1));
        }
        numbers.dedup();
        let Part { name, licence, source, .. } = part;
        let line = format!("{name}\n    {licence}; {source}\n    {}\n", numbers.join(" "));
        list.push_str(&line);
    }
    let mut whole = format!(
        "Software of others in {}\n\nEach part with its licence, its source and the numbers of the \
         texts below. The programs are\nunder the Apache License 2.0; their sources, from which \
         they can be linked anew with another\nversion of any part, are those of this package's \
         version.\n\n{list}",
        programs.join(", ")
    );
    for (index, (text, of)) in texts.iter().enumerate() {
        let rule = "-".repeat(80);
        let head = format!("\n{rule}\n[{}] {}\n{rule}\n", index + 1, of.join(", "));
        whole.extend([head.as_str(), *text, "\n"]);
    }
    whole
}

/// All crates that Cargo.lock has for this machine, by `name vVERSION`.
fn crates() -> io::Result<BTreeMap<String, Part>> {
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let metadata =
        cargo(&["metadata", "--locked", "--format-version=1", "--filter-platform", &platform])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let name = format!("{} v{}", field("name"), field("version"));
        let manifest = Path::new(field("manifest_path"));
        let mut texts = Vec::new();
        if package["source"].is_string() {
            collect(manifest.parent().unwrap_or(manifest), &mut texts)?;
        }
        let (licence, source) = (field("license").to_owned(), field("repository").to_owned());
        crates.insert(name.clone(), Part { name, licence, source, texts });
    }
    Ok(crates)
}

/// The texts of licences in `folder` and below: a crate may contain the sources of others.
fn collect(folder: &Path, texts: &mut Vec<String>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, texts)?;
        } else if is_licence(&path)
            && let Ok(text) = fs::read_to_string(&path)
            && !text.trim().is_empty()
        {
            texts.push(text.replace("\r\n", "\n"));
        }
    }
    Ok(())
}

fn is_licence(path: &Path) -> bool {
    const BEGINNINGS: [&str; 6] =
        ["license", "licence", "copying", "copyright", "notice", "unlicense"];
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let code = [".rs", ".c", ".h", ".py", ".toml", ".json", ".html", ".tmpl"];
    BEGINNINGS.iter().any(|begin| name.starts_with(begin))
        && !code.iter().any(|ending| name.ends_with(ending))
}

fn cargo(arguments: &[&str]) -> io::Result<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(other(format!("cargo {}: {}", arguments.join(" "), said.trim())));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

fn other(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, licence: &str, source: &str, texts: &[&str]) -> Part {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        Part { name: name.into(), licence: licence.into(), source: source.into(), texts }
    }

    #[test]
    fn a_text_stands_once_with_all_whose_it_is() {
        let parts = [part("a", "MIT", "x", &["T\n"]), part("b", "MIT", "y", &["U", "T"])];
        let text = document(&["p"], &parts);
        assert!(text.contains("a\n    MIT; x\n    [1]\n"), "{text}");
        assert!(text.contains("b\n    MIT; y\n    [2] [1]\n"), "{text}");
        assert!(text.contains("[1] a, b\n") && text.matches("\nT\n").count() == 1, "{text}");
    }

    #[test]
    fn a_crate_without_a_text_gets_the_right_one_or_fails() {
        let known = [
            part("a v1", "MIT", "x", &["T"]),
            part("b v1", "MIT", "x", &[]),
            part("c v1", "MIT OR Apache-2.0", "y", &[]),
            part("d v1", "MIT", "z", &[]),
        ];
        let known: BTreeMap<_, _> = known.map(|part| (part.name.clone(), part)).into();
        let table =
            [("a v1", Some("T")), ("b v1", Some("T")), ("c v1", Some(APACHE)), ("d v1", None)];
        for (name, want) in table {
            let found = with_texts(name, &known).ok().map(|part| part.texts.concat());
            assert_eq!(found.as_deref(), want, "{name}");
        }
    }

    #[test]
    fn every_shipment_has_the_texts_of_all_its_parts() {
        for shipment in &SHIPMENTS {
            let text = text(shipment).unwrap();
            assert!(!shipment.programs.iter().any(|own| text.contains(&format!("\n{own} v"))));
            assert!(text.contains("\nserde v1"), "{}", shipment.folder);
        }
        let runtime = text(&SHIPMENTS[0]).unwrap();
        // The engine's own licence, and that of the WASI layer in it.
        for part in ["\nwamrx-sys v", "LLVM Exceptions", "Nuxi", "GNU LESSER GENERAL PUBLIC"] {
            assert!(runtime.contains(part), "{part}");
        }
    }
}
