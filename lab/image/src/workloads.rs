//! The images that pods run, from `vm-images/workloads`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;
use wamr_record::cell::Program;

use crate::WorkloadImage;
use crate::archive::{self, ImageConfig, Layer, LayerWriter};
use crate::cache::{Bench, Cache, Stage};
use crate::debian::{self, Debian};
use crate::layer::{self, Rules};
use crate::python::{Interpreted, Interpreter};
use crate::recipes::{self, Inputs};
use crate::{digest, tool};

const WORKLOADS: &str = "workloads/workloads.toml";

/// Name of the archive in a stage's folder.
const ARCHIVE: &str = "image.tar";

/// `workloads.toml`: name → how the image is made.
pub type Workloads = BTreeMap<String, Workload>;

/// One image. What is serialized makes the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    #[serde(skip_serializing)]
    title: String,
    build: Build,
    source: String,
    /// Files that the source includes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<String>,
    program: String,
    entrypoint: Vec<String>,
}

/// How the source becomes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Build {
    Native,
    Wasm,
    Python,
}

/// What a stage says about the image that it made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    manifest_digest: String,
    program: Program,
    /// What the image's content depends on besides its source: compiler or interpreter.
    versions: BTreeMap<String, String>,
}

/// Reads `workloads.toml`.
///
/// # Errors
/// It is not what this version understands.
pub fn read() -> Result<Workloads> {
    let text = recipes::text(WORKLOADS)?;
    toml::from_str(text).into_diagnostic().with_context(|| format!("cannot read {WORKLOADS}"))
}

impl Workload {
    /// True if the program is a WebAssembly module.
    #[cfg(test)]
    pub fn is_wasm(&self) -> bool {
        self.build == Build::Wasm
    }

    /// The source and what it includes.
    fn files(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.source).chain(&self.headers)
    }

    /// The key of this image's stage.
    ///
    /// # Errors
    /// Its source is not among the recipes.
    pub fn key(&self, name: &str, debian: &Debian) -> Result<String> {
        let row = serde_json::to_string(self).into_diagnostic()?;
        let inputs = Inputs::new().value(name, &row);
        let inputs = self.files().try_fold(inputs, |inputs, file| inputs.recipe(&recipe(file)))?;
        let epoch = debian.source_date_epoch.to_string();
        Ok(match self.build {
            Build::Python => inputs.value("layer", &Interpreter::read()?.key(debian)).key(),
            Build::Native | Build::Wasm => inputs.value("epoch", &epoch).key(),
        })
    }

    /// The image as an archive in the cache, and the versions of what made it.
    ///
    /// # Errors
    /// A compiler or mmdebstrap fails, or the archive cannot be written.
    pub fn ensure(
        &self,
        name: &str,
        debian: &Debian,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<(WorkloadImage, BTreeMap<String, String>)> {
        let reference = format!("localhost/wamr-lab/{name}:1");
        let stage_name = format!("image-{name}");
        let title = format!("image: {}", self.title);
        let key = self.key(name, debian)?;
        let stage = Stage { name: &stage_name, title: &title, key: &key, pieces: 0 };
        let config = ImageConfig {
            reference: reference.clone(),
            entrypoint: self.entrypoint.clone(),
            created_s: debian.source_date_epoch,
        };
        let interpreter = match self.build {
            Build::Python => Some(Interpreter::read()?.ensure(debian, cache, progress)?),
            Build::Native | Build::Wasm => None,
        };
        let (folder, made) = cache
            .stage(stage, progress, |bench| self.build(&config, interpreter.as_ref(), bench))?;
        let image = WorkloadImage {
            archive: folder.join(ARCHIVE),
            reference,
            manifest_digest: made.manifest_digest,
            program: made.program,
        };
        Ok((image, made.versions))
    }

    fn build(
        &self,
        config: &ImageConfig,
        interpreter: Option<&Interpreted>,
        bench: &mut Bench<'_>,
    ) -> Result<Made> {
        for file in self.files() {
            recipes::write(&recipe(file), &bench.scratch.join(file))?;
        }
        let source = bench.scratch.join(&self.source);
        let rules = Rules { mtime_s: config.created_s, excluded: &[] };
        let failed = || "cannot make the image's layer";
        let (mut layers, program, versions) = if let Some(base) = interpreter {
            bench.step.set("writing the archive");
            let script = |to: &mut LayerWriter| {
                layer::add_file(to, rules, &source, Path::new(&self.source), 0o644)
            };
            let script = Layer::build(script).into_diagnostic().with_context(failed)?;
            (vec![base.layer()?, script], base.program.clone(), base.versions.clone())
        } else {
            let root = bench.scratch.join("root");
            fs::create_dir(&root).into_diagnostic()?;
            self.compile(&source, &root, bench)?;
            bench.step.set("writing the archive");
            let tree = |to: &mut LayerWriter| layer::add_tree(to, rules, &root);
            let tree = Layer::build(tree).into_diagnostic().with_context(failed)?;
            let sha256 = digest::of_file(&debian::inside(&root, &self.program))?;
            let program = Program { path: self.program.clone(), sha256 };
            (vec![tree], program, self.build.compiler()?)
        };
        let to = bench.out.join(ARCHIVE);
        let file = File::create(&to).into_diagnostic().context("cannot make the archive")?;
        let manifest_digest = archive::write(&mut BufWriter::new(file), config, &mut layers)?;
        Ok(Made { manifest_digest, program, versions })
    }

    fn compile(&self, source: &Path, root: &Path, bench: &mut Bench<'_>) -> Result<()> {
        let mut command = match self.build {
            Build::Wasm => {
                let mut clang = tool::command("clang");
                // Only what every engine has understood from the start.
                clang.args(["--target=wasm32-wasi", "-mcpu=mvp"]);
                clang
            }
            Build::Native | Build::Python => {
                let mut gcc = tool::command("gcc");
                gcc.args(["-static", "-Wl,--build-id=none"]);
                gcc
            }
        };
        let program = debian::inside(root, &self.program);
        command.args(["-Os", "-Wall", "-Wextra", "-Werror", "-s", "-o"]).arg(&program);
        command.arg(source);
        bench.log.run(command, |_| {})
    }
}

/// The recipe of a file beside `workloads.toml`.
fn recipe(file: &str) -> String {
    format!("workloads/{file}")
}

impl Build {
    /// Name and version of the compiler.
    fn compiler(self) -> Result<BTreeMap<String, String>> {
        let (name, argument) = match self {
            Self::Wasm => ("clang", "-dumpversion"),
            Self::Native | Self::Python => ("gcc", "-dumpfullversion"),
        };
        let mut command = tool::command(name);
        command.arg(argument);
        let version = tool::output(command)?.trim().to_owned();
        Ok(BTreeMap::from([(name.to_owned(), version)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python;

    #[test]
    fn the_recipe_is_readable_and_names_its_sources() {
        let workloads = read().unwrap();
        for name in ["pause", "microservice-wasm", "microservice-python"] {
            assert!(workloads.contains_key(name), "{name}");
        }
        for (name, workload) in &workloads {
            for file in workload.files() {
                assert!(recipes::text(&recipe(file)).is_ok(), "{name}: {file}");
            }
            assert_eq!(workload.entrypoint[0], workload.program, "{name}");
            if workload.build == Build::Python {
                assert_eq!(workload.program, python::INTERPRETER, "{name}");
                assert_eq!(workload.entrypoint[1], format!("/{}", workload.source), "{name}");
            }
        }
    }

    #[test]
    fn keys_differ_and_follow_the_row() {
        let debian = debian::Recipe::read().unwrap().debian;
        let workloads = read().unwrap();
        let keys: Vec<_> =
            workloads.iter().map(|(name, row)| row.key(name, &debian).unwrap()).collect();
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
        for (name, row) in &workloads {
            let mut changed = row.clone();
            changed.entrypoint.push("-v".to_owned());
            let key = row.key(name, &debian).unwrap();
            assert_ne!(key, changed.key(name, &debian).unwrap(), "{name}");
            let reworded = Workload { title: String::new(), ..row.clone() };
            assert_eq!(key, reworded.key(name, &debian).unwrap(), "{name}: words for people");
            let mut later = debian.clone();
            later.source_date_epoch += 1;
            assert_ne!(key, row.key(name, &later).unwrap(), "{name}");
        }
    }
}
