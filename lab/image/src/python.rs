//! The layer with the Python interpreter, which all Python workloads share: containerd then holds
//! and unpacks it once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;
use wamr_record::cell::Program;

use crate::archive::Layer;
use crate::cache::{Bench, Cache, Stage};
use crate::debian::{self, Debian, Package, Variant};
use crate::digest;
use crate::layer::{self, Rules};
use crate::recipes::{self, Inputs};

const RECIPE: &str = "workloads/python.toml";

/// The interpreter, which also compiles its own library, and where that is.
pub const INTERPRETER: &str = "/usr/bin/python3.13";
const LIBRARY: &str = "/usr/lib/python3.13";

/// What a bootstrapped tree has that no container reads: state of the package tools, devices, and
/// two files that mmdebstrap copies from the building machine.
const NOT_IN_AN_IMAGE: &[&str] = &[
    "boot",
    "dev",
    "etc/apt",
    "etc/dpkg",
    "etc/hostname",
    "etc/resolv.conf",
    "proc",
    "sys",
    "var",
];

/// `python.toml`. What is serialized makes the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interpreter {
    packages: Vec<Package>,
}

/// The finished layer.
#[derive(Debug, Clone)]
pub struct Interpreted {
    /// Where it is.
    pub file: PathBuf,
    /// The interpreter's path and digest.
    pub program: Program,
    /// Its version.
    pub versions: BTreeMap<String, String>,
}

/// What the stage says about the layer that it made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    program: Program,
    versions: BTreeMap<String, String>,
}

impl Interpreter {
    /// Reads `python.toml`.
    ///
    /// # Errors
    /// It is not what this version understands.
    pub fn read() -> Result<Self> {
        let parse = || -> Result<Self> {
            let recipe: Self = toml::from_str(recipes::text(RECIPE)?).into_diagnostic()?;
            recipe.packages.iter().try_for_each(Package::check)?;
            Ok(recipe)
        };
        parse().with_context(|| format!("cannot read {RECIPE}"))
    }

    /// The key of the layer's stage.
    pub fn key(&self, debian: &Debian) -> String {
        // Names and reasons are strings: they always serialize.
        let packages = serde_json::to_string(self).unwrap_or_default();
        debian.inputs(Inputs::new().value("python", &packages)).key()
    }

    /// The layer in the cache.
    ///
    /// # Errors
    /// mmdebstrap or the interpreter fails, or the layer cannot be written.
    pub fn ensure(
        &self,
        debian: &Debian,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<Interpreted> {
        let key = self.key(debian);
        let title = "layer: Python interpreter";
        let stage = Stage { name: "layer-python", title, key: &key, pieces: 0 };
        let (folder, made) = cache.stage(stage, progress, |bench| self.build(debian, bench))?;
        let Made { program, versions } = made;
        Ok(Interpreted { file: folder.join("layer.tar"), program, versions })
    }

    fn build(&self, debian: &Debian, bench: &mut Bench<'_>) -> Result<Made> {
        let root = bench.scratch.join("root");
        debian.install(bench, Variant::Extract, &self.packages, &root)?;
        compile_library(&root, bench)?;
        bench.step.set("writing the layer");
        let rules = Rules { mtime_s: debian.source_date_epoch, excluded: NOT_IN_AN_IMAGE };
        Layer::build(|to| layer::add_tree(to, rules, &root))
            .and_then(|mut layer| layer.save(&bench.out.join("layer.tar")))
            .into_diagnostic()
            .context("cannot make the interpreter's layer")?;
        let sha256 = digest::of_file(&debian::inside(&root, INTERPRETER))?;
        let printed = debian::output_inside(&root, INTERPRETER, &["--version"])?;
        let version = printed.trim().trim_start_matches("Python ").to_owned();
        Ok(Made {
            program: Program { path: INTERPRETER.to_owned(), sha256 },
            versions: BTreeMap::from([("python".to_owned(), version)]),
        })
    }
}

impl Interpreted {
    /// The layer, opened.
    ///
    /// # Errors
    /// It cannot be read from the cache.
    pub fn layer(&self) -> Result<Layer> {
        let act = || format!("cannot read {}", self.file.display());
        Layer::open(&self.file).into_diagnostic().with_context(act)
    }
}

/// As the package's own installation does; hashes instead of times, which an image changes.
fn compile_library(root: &Path, bench: &mut Bench<'_>) -> Result<()> {
    bench.step.set("byte-compiling the Python library");
    let arguments = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", LIBRARY];
    debian::output_inside(root, INTERPRETER, &arguments).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_holds_the_interpreter_and_makes_the_key() {
        let debian = debian::Recipe::read().unwrap().debian;
        let recipe = Interpreter::read().unwrap();
        let file = INTERPRETER.rsplit('/').next().unwrap();
        assert!(format!("{:?}", recipe.packages).contains(file), "{recipe:?}");
        let fewer = Interpreter { packages: recipe.packages[1..].to_vec() };
        assert_ne!(recipe.key(&debian), fewer.key(&debian));
    }
}
