//! The images that pods run, from `vm-images/workloads`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;
use wamr_record::cell::Program;

use crate::WorkloadImage;
use crate::archive::{self, ImageConfig, Layer, LayerWriter};
use crate::cache::{Bench, Cache, Stage};
use crate::debian::{self, Debian, Package, Variant};
use crate::layer::{self, Rules};
use crate::recipes::{self, Inputs};
use crate::{digest, tool};

const WORKLOADS: &str = "workloads/workloads.toml";

/// Name of the archive in a stage's folder.
const ARCHIVE: &str = "image.tar";

/// The interpreter that compiles its own library, and where that is.
const PYTHON: &str = "/usr/bin/python3.13";
const PYTHON_LIBRARY: &str = "/usr/lib/python3.13";

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
    program: String,
    entrypoint: Vec<String>,
    #[serde(default)]
    packages: Vec<Package>,
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
    let parse = || -> Result<Workloads> {
        let workloads: Workloads = toml::from_str(text).into_diagnostic()?;
        for workload in workloads.values() {
            workload.packages.iter().try_for_each(Package::check)?;
        }
        Ok(workloads)
    };
    parse().with_context(|| format!("cannot read {WORKLOADS}"))
}

impl Workload {
    fn source_recipe(&self) -> String {
        format!("workloads/{}", self.source)
    }

    /// The key of this image's stage.
    ///
    /// # Errors
    /// Its source is not among the recipes.
    pub fn key(&self, name: &str, debian: &Debian) -> Result<String> {
        let row = serde_json::to_string(self).into_diagnostic()?;
        let inputs = Inputs::new().value(name, &row).recipe(&self.source_recipe())?;
        let epoch = debian.source_date_epoch.to_string();
        Ok(match self.build {
            Build::Python => debian.inputs(inputs).key(),
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
        let (folder, made) =
            cache.stage(stage, progress, |bench| self.build(&config, debian, bench))?;
        let image = WorkloadImage {
            archive: folder.join(ARCHIVE),
            reference,
            manifest_digest: made.manifest_digest,
            program: made.program,
        };
        Ok((image, made.versions))
    }

    fn build(&self, config: &ImageConfig, debian: &Debian, bench: &mut Bench<'_>) -> Result<Made> {
        let source = bench.scratch.join(&self.source);
        recipes::write(&self.source_recipe(), &source)?;
        let root = bench.scratch.join("root");
        let excluded: &[&str] = match self.build {
            Build::Native | Build::Wasm => {
                fs::create_dir(&root).into_diagnostic()?;
                self.compile(&source, &root, bench)?;
                &[]
            }
            Build::Python => {
                debian.install(bench, Variant::Extract, &self.packages, &root)?;
                compile_python_library(&root, bench)?;
                NOT_IN_AN_IMAGE
            }
        };
        bench.step.set("writing the archive");
        let rules = Rules { mtime_s: config.created_s, excluded };
        let script =
            (self.build == Build::Python).then_some((source.as_path(), self.source.as_str()));
        let mut image_layer = Layer::build(|to| fill(to, rules, &root, script))
            .into_diagnostic()
            .context("cannot make the image's layer")?;
        let program_file = debian::inside(&root, &self.program);
        let program =
            Program { path: self.program.clone(), sha256: digest::of_file(&program_file)? };
        let to = bench.out.join(ARCHIVE);
        let file = File::create(&to).into_diagnostic().context("cannot make the archive")?;
        let manifest_digest = archive::write(&mut BufWriter::new(file), config, &mut image_layer)?;
        Ok(Made { manifest_digest, program, versions: self.build.versions(&root)? })
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

impl Build {
    fn versions(self, root: &Path) -> Result<BTreeMap<String, String>> {
        let compiler = |program: &str, argument: &str| {
            let mut command = tool::command(program);
            command.arg(argument);
            tool::output(command)
        };
        let (name, printed) = match self {
            Self::Native => ("gcc", compiler("gcc", "-dumpfullversion")?),
            Self::Wasm => ("clang", compiler("clang", "-dumpversion")?),
            Self::Python => ("python", debian::output_inside(root, PYTHON, &["--version"])?),
        };
        let version = printed.trim().trim_start_matches("Python ").to_owned();
        Ok(BTreeMap::from([(name.to_owned(), version)]))
    }
}

fn fill(
    to: &mut LayerWriter,
    rules: Rules<'_>,
    root: &Path,
    script: Option<(&Path, &str)>,
) -> io::Result<()> {
    layer::add_tree(to, rules, root)?;
    match script {
        Some((source, name)) => layer::add_file(to, rules, source, Path::new(name), 0o644),
        None => Ok(()),
    }
}

/// As the package's own installation does; hashes instead of times, which an image changes.
fn compile_python_library(root: &Path, bench: &mut Bench<'_>) -> Result<()> {
    bench.step.set("byte-compiling the Python library");
    let arguments = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"];
    let arguments = [&arguments[..], &[PYTHON_LIBRARY]].concat();
    debian::output_inside(root, PYTHON, &arguments).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_readable_and_names_its_sources() {
        let workloads = read().unwrap();
        for name in ["pause", "microservice-wasm", "microservice-python"] {
            assert!(workloads.contains_key(name), "{name}");
        }
        for (name, workload) in &workloads {
            assert!(recipes::text(&workload.source_recipe()).is_ok(), "{name}");
            assert_eq!(workload.entrypoint[0], workload.program, "{name}");
            let python = workload.build == Build::Python;
            assert_eq!(workload.packages.is_empty(), !python, "{name}: packages");
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
