//! Peers under test that are built from source: `vm-images/peers/peers.toml`.
//!
//! A part is built when one of its files is asked for, into the same cache as the node image, and
//! its files lie on a node below [`DIRECTORY`].

mod build;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;

use crate::cache::{Cache, Stage, stage_folder};
use crate::recipes::{self, Inputs};

/// Where a node has the files of peers.
pub const DIRECTORY: &str = "/opt/peers";

const PEERS: &str = "peers/peers.toml";

/// The files of the Cargo workspace that makes engines and shims.
const WORKSPACE: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "iwasm/Cargo.toml",
    "iwasm/src/lib.rs",
    "rust-toolchain.toml",
    "shim-wasmedge/Cargo.toml",
    "shim-wasmedge/src/main.rs",
    "shim-wasmedge/src/sys.rs",
    "shim-wasmer/Cargo.toml",
    "shim-wasmer/src/main.rs",
    "shim-wasmtime/Cargo.toml",
    "shim-wasmtime/src/main.rs",
    "wasmer-c-api/Cargo.toml",
    "wasmer-c-api/src/lib.rs",
    "wasmtime-c-api/Cargo.toml",
    "wasmtime-c-api/src/lib.rs",
    "wasmtime-conf.h",
];

/// All parts, by name.
pub type Parts = BTreeMap<String, Part>;

/// A row of `peers.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What a person reads.
    #[serde(skip_serializing)]
    pub title: String,
    /// Why it is built.
    #[serde(skip_serializing)]
    pub why: String,
    /// How.
    #[serde(flatten)]
    pub build: Build,
    /// Parts that it is built with.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What it gives, relative to [`DIRECTORY`].
    pub files: Vec<String>,
}

/// How a part is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "build", rename_all = "kebab-case")]
pub enum Build {
    /// By cargo, from the workspace beside `peers.toml`.
    Workspace,
    /// By CMake, from the C sources in a crate that the workspace pins.
    Cmake {
        /// The crate.
        #[serde(rename = "crate")]
        crate_name: String,
        /// Its folder with the sources.
        folder: String,
        /// The folder with its headers, below that.
        headers: String,
        /// CMake's options.
        options: Vec<String>,
    },
    /// crun with one engine.
    Crun {
        /// As crun's configure calls it.
        engine: String,
        /// Libraries that its linker needs.
        #[serde(default)]
        libraries: Vec<String>,
    },
    /// A program of crates.io, by `cargo install` with its own lock file.
    Crate {
        /// The crate.
        #[serde(rename = "crate")]
        crate_name: String,
        /// Its version.
        version: String,
        /// Its features.
        features: Vec<String>,
        /// Its program, which gives all files of the part.
        program: String,
    },
}

/// Nothing is said of a finished part beyond its files.
#[derive(Debug, Serialize, Deserialize)]
struct Made {}

/// Reads `peers.toml`.
///
/// # Errors
/// It is not what this version understands, or a part needs one that is not there.
pub fn read() -> Result<Parts> {
    parse(recipes::text(PEERS)?).with_context(|| format!("cannot read {PEERS}"))
}

fn parse(text: &str) -> Result<Parts> {
    let parts: Parts = toml::from_str(text).into_diagnostic()?;
    for (name, part) in &parts {
        if part.why.trim().is_empty() {
            miette::bail!("{name} gives no reason (`why`)");
        }
        if let Some(needed) = part.needs.iter().find(|needed| !parts.contains_key(*needed)) {
            miette::bail!("{name} needs {needed}, which is not there");
        }
        if part.needs.iter().any(|needed| !parts[needed].needs.is_empty()) {
            miette::bail!("{name} needs a part that needs another: one step is all there is");
        }
    }
    Ok(parts)
}

/// Builds what gives the `wanted` files, and returns file → where it is on this machine.
///
/// # Errors
/// No part gives a file; a tool is missing, or a build fails: the error says which and where its
/// log is.
pub fn ensure(
    cache: &Path,
    wanted: &BTreeSet<String>,
    progress: &Progress,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let parts = read()?;
    let folder = std::path::absolute(cache).into_diagnostic()?;
    // A run does not wait for somebody who builds something else.
    let there = built(&folder, wanted)?;
    if there.len() == wanted.len() {
        return Ok(there);
    }
    crate::requirements::require_for_peers()?;
    let cache = Cache::open(&folder, progress)?;
    for file in wanted {
        let part = parts.iter().find(|(_, part)| part.files.contains(file));
        let Some((name, _)) = part else {
            miette::bail!(
                help = format!("{PEERS} has: {}", all_files(&parts).join(", ")),
                "no peer gives the file {file}"
            );
        };
        let folder = part_folder(&parts, name, &cache, progress)?;
        found.insert(file.clone(), folder.join(file));
    }
    Ok(found)
}

/// Which of the `wanted` files are built already: file → where it is on this machine.
///
/// # Errors
/// The recipes are broken.
pub fn built(cache: &Path, wanted: &BTreeSet<String>) -> Result<BTreeMap<String, PathBuf>> {
    let parts = read()?;
    let mut found = BTreeMap::new();
    for (name, part) in &parts {
        let folder = stage_folder(cache, &format!("peer-{name}"), &key(&parts, name)?);
        for file in part.files.iter().filter(|file| wanted.contains(*file)) {
            let path = folder.join(file);
            if path.exists() {
                found.insert(file.clone(), path);
            }
        }
    }
    Ok(found)
}

/// Every file that some part gives.
pub fn all_files(parts: &Parts) -> Vec<&str> {
    parts.values().flat_map(|part| part.files.iter().map(String::as_str)).collect()
}

fn part_folder(parts: &Parts, name: &str, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let part = &parts[name];
    let mut needed = BTreeMap::new();
    for other in &part.needs {
        needed.insert(other.clone(), part_folder(parts, other, cache, progress)?);
    }
    let stage_name = format!("peer-{name}");
    let key = key(parts, name)?;
    let stage = Stage { name: &stage_name, title: &part.title, key: &key, pieces: 0 };
    let compiled = cache.cargo_folder().join(name);
    // wasmer's build script finds its way by this name.
    let target = compiled.join("target");
    let (folder, Made {}) = cache.stage(stage, progress, |bench| {
        build::build(part, &needed, &target, bench)?;
        match part.files.iter().find(|file| !bench.out.join(file).exists()) {
            Some(file) => Err(miette::miette!("the build gave no {file}")),
            None => Ok(Made {}),
        }
    })?;
    // Gigabytes, of use to nobody but a build that was broken off.
    match fs::remove_dir_all(&compiled) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)
            .into_diagnostic()
            .with_context(|| format!("cannot remove {}", compiled.display())),
        _ => Ok(folder),
    }
}

fn key(parts: &Parts, name: &str) -> Result<String> {
    let part = &parts[name];
    let row = serde_json::to_string(part).into_diagnostic()?;
    let mut inputs = Inputs::new().value(name, &row);
    if matches!(part.build, Build::Workspace | Build::Cmake { .. }) {
        for file in WORKSPACE {
            inputs = inputs.recipe(&format!("peers/{file}"))?;
        }
    }
    if matches!(part.build, Build::Crun { .. }) {
        inputs = inputs.value("crun", build::CRUN_SHA256);
    }
    for needed in &part.needs {
        inputs = inputs.value("needs", &key(parts, needed)?);
    }
    Ok(inputs.key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_readable_and_every_file_has_one_part() {
        let parts = read().unwrap();
        let files = all_files(&parts);
        let different: BTreeSet<_> = files.iter().collect();
        assert_eq!(different.len(), files.len(), "{files:?}");
        for file in files {
            assert!(file.starts_with("bin/") || file.starts_with("lib/"), "{file}");
        }
    }

    #[test]
    fn bad_tables_are_refused() {
        let good = recipes::text(PEERS).unwrap();
        for (case, from, to) in [
            ("no reason", "why = \"a peer of the paper\"", "why = \"\""),
            ("unknown way", "build = \"cmake\"", "build = \"scons\""),
            ("needs nothing known", "needs = [\"iwasm\"]", "needs = [\"jwasm\"]"),
            ("needs too deep", "[engines]", "[engines]\nneeds = [\"crun-wamr\"]"),
        ] {
            assert!(good.contains(from), "{case}");
            assert!(parse(&good.replacen(from, to, 1)).is_err(), "{case}");
        }
    }

    #[test]
    fn keys_follow_the_row_and_what_it_needs() {
        let parts = read().unwrap();
        let before = key(&parts, "crun-wamr").unwrap();
        assert_eq!(before, key(&read().unwrap(), "crun-wamr").unwrap());
        let mut changed = read().unwrap();
        changed.get_mut("iwasm").unwrap().files.push("lib/more".to_owned());
        assert_ne!(before, key(&changed, "crun-wamr").unwrap(), "what it needs");
        let mut reworded = read().unwrap();
        reworded.get_mut("crun-wamr").unwrap().title.clear();
        assert_eq!(before, key(&reworded, "crun-wamr").unwrap(), "words for people");
    }
}
