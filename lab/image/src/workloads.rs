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
use crate::digest;
use crate::layer::{self, Rules};
use crate::python::{Interpreted, Interpreter};
use crate::recipes::{self, Inputs};
use crate::wheel::{self, Wheel};
use crate::workload_program::{Build, Fetched};

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
    /// Row of `wheels.toml` with the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wheel: Option<String>,
    program: String,
    entrypoint: Vec<String>,
    /// Made when somebody asks for it, and not with the node image.
    #[serde(default, skip_serializing)]
    on_demand: bool,
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
    let rows: Workloads = toml::from_str(text)
        .into_diagnostic()
        .with_context(|| format!("cannot read {WORKLOADS}"))?;
    let odd = |row: &Workload| row.wheel.is_some() != (row.build == Build::Wheel);
    match rows.iter().find(|(_, row)| odd(row)) {
        Some((name, _)) => miette::bail!("{WORKLOADS}: {name}: `wheel` goes with that build alone"),
        None => Ok(rows),
    }
}

impl Workload {
    /// True if the program is a WebAssembly module.
    #[cfg(test)]
    pub fn is_wasm(&self) -> bool {
        self.build == Build::Wasm
    }

    /// True if it is made only when somebody asks for it.
    pub fn is_on_demand(&self) -> bool {
        self.on_demand
    }

    fn wheel(&self) -> Result<Option<(&str, Wheel)>> {
        let named = self.wheel.as_deref().map(|name| Ok((name, wheel::named(name)?)));
        named.transpose()
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
        if self.build == Build::Python {
            return Ok(inputs.value("layer", &Interpreter::read()?.key(debian)).key());
        }
        let inputs = inputs.value("epoch", &epoch);
        Ok(match self.wheel()? {
            Some((name, wheel)) => inputs.value("wheel", &wheel.key(name)).key(),
            None => inputs.key(),
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
        let base = self.base(debian, cache, progress)?;
        let go = cache.go_folder();
        let (folder, made) =
            cache.stage(stage, progress, |bench| self.build(&config, &base, &go, bench))?;
        let image = WorkloadImage {
            archive: folder.join(ARCHIVE),
            reference,
            manifest_digest: made.manifest_digest,
            program: made.program,
        };
        Ok((image, made.versions))
    }

    /// What the image is made with besides its source.
    fn base(&self, debian: &Debian, cache: &Cache, progress: &Progress) -> Result<Base> {
        if self.build == Build::Python {
            return Ok(Base::Interpreter(Interpreter::read()?.ensure(debian, cache, progress)?));
        }
        Ok(match self.wheel()? {
            Some((name, wheel)) => Base::Module(Fetched {
                file: wheel.ensure(name, cache, progress)?,
                versions: wheel.versions(),
            }),
            None => Base::Nothing,
        })
    }

    fn build(
        &self,
        config: &ImageConfig,
        base: &Base,
        go: &Path,
        bench: &mut Bench<'_>,
    ) -> Result<Made> {
        for file in self.files() {
            recipes::write(&recipe(file), &bench.scratch.join(file))?;
        }
        let source = bench.scratch.join(&self.source);
        let rules = Rules { mtime_s: config.created_s, excluded: &[] };
        let failed = || "cannot make the image's layer";
        let (mut layers, program, versions) = if let Base::Interpreter(base) = base {
            bench.step.set("writing the archive");
            let script = |to: &mut LayerWriter| {
                layer::add_file(to, rules, &source, Path::new(&self.source), 0o644)
            };
            let script = Layer::build(script).into_diagnostic().with_context(failed)?;
            (vec![base.layer()?, script], base.program.clone(), base.versions.clone())
        } else {
            let root = bench.scratch.join("root");
            fs::create_dir(&root).into_diagnostic()?;
            let program = debian::inside(&root, &self.program);
            let versions = match base {
                Base::Module(module) => {
                    module.put(&program)?;
                    fs::copy(&source, root.join(&self.source)).into_diagnostic()?;
                    module.versions.clone()
                }
                Base::Nothing | Base::Interpreter(_) => {
                    self.build.compile(&source, &program, go, bench)?
                }
            };
            bench.step.set("writing the archive");
            let tree = |to: &mut LayerWriter| layer::add_tree(to, rules, &root);
            let tree = Layer::build(tree).into_diagnostic().with_context(failed)?;
            let sha256 = digest::of_file(&program)?;
            let program = Program { path: self.program.clone(), sha256 };
            (vec![tree], program, versions)
        };
        let to = bench.out.join(ARCHIVE);
        let file = File::create(&to).into_diagnostic().context("cannot make the archive")?;
        let manifest_digest = archive::write(&mut BufWriter::new(file), config, &mut layers)?;
        Ok(Made { manifest_digest, program, versions })
    }
}

/// What an image is made with besides its source.
enum Base {
    Nothing,
    Interpreter(Interpreted),
    Module(Fetched),
}

/// The recipe of a file beside `workloads.toml`.
fn recipe(file: &str) -> String {
    format!("workloads/{file}")
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
            }
            // What other than the kernel reads the source.
            if matches!(workload.build, Build::Python | Build::Wheel) {
                assert_eq!(workload.entrypoint[1], format!("/{}", workload.source), "{name}");
            }
        }
    }

    /// The claims speak of images with this name, and all of them come with the node image.
    #[test]
    fn a_wheel_is_fetched_on_demand_alone() {
        for (name, workload) in read().unwrap() {
            assert!(workload.on_demand || workload.wheel().unwrap().is_none(), "{name}");
            assert!(!workload.on_demand || !name.starts_with("microservice"), "{name}");
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
