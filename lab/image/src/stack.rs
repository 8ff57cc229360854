//! The Go programs of a node, built from the modules that `vm-images/stack` pins.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;
use wamr_record::cell::Program;
use wamr_record::release::Release;

use crate::cache::{Bench, Cache, Stage};
use crate::recipes::{self, Inputs};
use crate::{digest, tool};

const STACK: &str = "stack/stack.toml";

/// `stack.toml`: Go module → what is built from it.
pub type Stack = BTreeMap<String, Module>;

/// One Go module's programs and how they are built. What is serialized makes the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    #[serde(skip_serializing)]
    title: String,
    version: String,
    #[serde(skip_serializing)]
    why: String,
    /// Where the programs are installed on a node.
    directory: String,
    #[serde(default)]
    cgo: bool,
    #[serde(default)]
    build_flags: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// `{version}` stands for `version`.
    #[serde(default)]
    ldflags: Vec<String>,
    programs: BTreeMap<String, Source>,
    /// Versions of other releases. Each has a Go module of its own, `NAME-RELEASE`, is built the
    /// same way, and only when it is asked for.
    #[serde(default, skip_serializing)]
    releases: BTreeMap<Release, OtherVersion>,
}

/// A version of another release than the module's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherVersion {
    version: String,
    why: String,
}

/// Where a program comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    package: String,
    /// Arguments that make the program print its version.
    arguments: Vec<String>,
    /// Tags of this program alone.
    #[serde(default)]
    tags: Vec<String>,
}

/// A built module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Built {
    /// Program → version as it prints it; `go` → the toolchain that the module got.
    pub versions: BTreeMap<String, String>,
    /// Programs as they are installed.
    pub programs: Vec<Program>,
}

/// Reads `stack.toml`.
///
/// # Errors
/// It is not what this version understands.
pub fn read() -> Result<Stack> {
    parse(recipes::text(STACK)?).with_context(|| format!("cannot read {STACK}"))
}

fn parse(text: &str) -> Result<Stack> {
    let stack: Stack = toml::from_str(text).into_diagnostic()?;
    for (name, module) in &stack {
        let reasons = module.releases.values().map(|other| &other.why);
        if reasons.chain([&module.why]).any(|why| why.trim().is_empty()) {
            miette::bail!("module {name} gives no reason (`why`)");
        }
        let others = module.releases.iter();
        let own = Release::of_version(&module.version);
        let misplaced =
            others.map(|(release, other)| (*release, other)).find(|(release, other)| {
                Some(*release) == own || Release::of_version(&other.version) != Some(*release)
            });
        if let Some((release, other)) = misplaced {
            miette::bail!("module {name}: {} is no other version of {release}", other.version);
        }
    }
    Ok(stack)
}

/// The releases that `module` can be had in, ascending.
///
/// # Errors
/// Its own version is of none.
pub fn releases(module: &Module) -> Result<Vec<Release>> {
    let mut releases: Vec<Release> = module.releases.keys().copied().collect();
    releases.push(module.release()?);
    releases.sort_unstable();
    Ok(releases)
}

/// `stack` with the module `name` in another release.
///
/// # Errors
/// It cannot be had in that release; the text says in which.
pub fn in_release(mut stack: Stack, name: &str, release: Release) -> Result<Stack> {
    let Some(module) = stack.remove(name) else { miette::bail!("{STACK} has no module {name}") };
    if module.release()? == release {
        stack.insert(name.to_owned(), module);
        return Ok(stack);
    }
    let Some(other) = module.releases.get(&release) else {
        let known: Vec<String> = releases(&module)?.iter().map(ToString::to_string).collect();
        miette::bail!(
            help = format!("{STACK} has: {}", known.join(", ")),
            "there is no {} {release}",
            module.title
        );
    };
    let title = format!("{} {release}", module.title);
    let version = other.version.clone();
    let module = Module { title, version, releases: BTreeMap::new(), ..module };
    stack.insert(format!("{name}-{release}"), module);
    Ok(stack)
}

impl Module {
    /// The release of the version that is always built.
    ///
    /// # Errors
    /// The version is no number.
    pub fn release(&self) -> Result<Release> {
        let release = Release::of_version(&self.version);
        release.ok_or_else(|| miette::miette!("{} {}: no release", self.title, self.version))
    }

    /// The key of this module's stage.
    ///
    /// # Errors
    /// Its go.mod or go.sum is not among the recipes.
    pub fn key(&self, name: &str) -> Result<String> {
        let table = serde_json::to_string(self).into_diagnostic()?;
        let inputs = Inputs::new().value("module", &table);
        Ok(inputs
            .recipe(&format!("stack/{name}/go.mod"))?
            .recipe(&format!("stack/{name}/go.sum"))?
            .key())
    }

    /// The module's programs below the folder that is returned, at their paths on a node.
    ///
    /// # Errors
    /// Go fails, or a program prints another version than it should.
    pub fn ensure(
        &self,
        name: &str,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<(PathBuf, Built)> {
        let stage_name = format!("stack-{name}");
        let stage =
            Stage { name: &stage_name, title: &self.title, key: &self.key(name)?, pieces: 0 };
        let caches = cache.go_folder();
        cache.stage(stage, progress, |bench| self.build(name, &caches, bench))
    }

    fn build(&self, name: &str, caches: &Path, bench: &mut Bench<'_>) -> Result<Built> {
        for file in ["go.mod", "go.sum"] {
            recipes::write(&format!("stack/{name}/{file}"), &bench.scratch.join(file))?;
        }
        let go = Go { module: self, sources: bench.scratch.clone(), caches };
        let mut built = Built { versions: BTreeMap::new(), programs: Vec::new() };
        built.versions.insert("go".to_owned(), go.version()?);
        let mut packages = BTreeSet::new();
        let mut needed = Vec::new();
        for source in self.programs.values() {
            bench.step.set("fetching sources");
            let own = go.packages(source, bench)?;
            packages.extend(own);
            needed.push(packages.len() as u64);
        }
        bench.step.set_total(packages.len() as u64);
        let mut compiled = BTreeSet::new();
        for (index, (program, source)) in self.programs.iter().enumerate() {
            let installed = format!("{}/{program}", self.directory);
            let to = crate::debian::inside(&bench.out, &installed);
            let step = bench.step;
            step.set(&format!("{program} ({} of {})", index + 1, self.programs.len()));
            bench.log.run(go.build(source, &to), |line| {
                if packages.contains(line) && compiled.insert(line.to_owned()) {
                    step.set_position(compiled.len() as u64);
                }
            })?;
            // What Go's cache had already was not printed.
            step.set_position(needed[index]);
            let version = self.printed_version(source, &to, bench)?;
            built.versions.insert(program.clone(), version);
            built.programs.push(Program { path: installed, sha256: digest::of_file(&to)? });
        }
        Ok(built)
    }

    /// Runs the program: that proves that it starts, and that the stamp took.
    fn printed_version(
        &self,
        source: &Source,
        program: &Path,
        bench: &mut Bench<'_>,
    ) -> Result<String> {
        let mut command = tool::command(program);
        command.args(&source.arguments);
        let mut printed = String::new();
        bench.log.run(command, |line| {
            printed.push_str(line);
            printed.push('\n');
        })?;
        let wanted = self.version.trim_start_matches('v');
        find_version(&printed, wanted).map(str::to_owned).ok_or_else(|| {
            miette::miette!(
                "{} should print version {wanted}, but prints:\n{printed}",
                program.display()
            )
        })
    }
}

/// The word of `text` that is the version `wanted`, with or without a leading `v`.
fn find_version<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    text.split(|letter: char| letter.is_whitespace() || letter == ',')
        .find(|word| word.strip_prefix('v').unwrap_or(word) == wanted)
}

/// Go, set up so that only the module's own files decide what comes out.
struct Go<'a> {
    module: &'a Module,
    sources: PathBuf,
    caches: &'a Path,
}

impl Go<'_> {
    /// The toolchain: a go.mod may ask for a newer one than the machine's, which Go then fetches.
    fn version(&self) -> Result<String> {
        let mut command = self.in_module();
        command.args(["env", "GOVERSION"]);
        tool::output(command).map(|version| version.trim().to_owned())
    }

    fn in_module(&self) -> Command {
        let mut command = tool::command("go");
        command.current_dir(&self.sources);
        command.env("CGO_ENABLED", if self.module.cgo { "1" } else { "0" });
        for (name, value) in [("GOFLAGS", ""), ("GOWORK", "off"), ("GOTOOLCHAIN", "auto")] {
            command.env(name, value);
        }
        for (name, folder) in [("GOMODCACHE", "mod"), ("GOCACHE", "build")] {
            command.env(name, self.caches.join(folder));
        }
        for name in ["GOOS", "GOARCH", "GOAMD64", "GOEXPERIMENT", "CGO_CFLAGS", "CGO_LDFLAGS"] {
            command.env_remove(name);
        }
        command
    }

    fn command(&self, verb: &str, source: &Source) -> Command {
        let module = self.module;
        let mut command = self.in_module();
        let tags: Vec<_> = module.tags.iter().chain(&source.tags).map(String::as_str).collect();
        command.args([verb, "-mod=readonly", "-trimpath", "-buildvcs=false"]);
        command.args(&module.build_flags).arg(format!("-tags={}", tags.join(",")));
        command
    }

    /// Import paths of everything that the program is made of; fetches the sources.
    fn packages(&self, source: &Source, bench: &mut Bench<'_>) -> Result<Vec<String>> {
        let mut command = self.command("list", source);
        command.args(["-deps", &source.package]);
        let step = bench.step;
        let mut packages = Vec::new();
        bench.log.run(command, |line| {
            if let Some(fetched) = line.strip_prefix("go: downloading ") {
                step.set(&format!("fetching {fetched}"));
            } else if !line.starts_with("go: ") {
                packages.push(line.to_owned());
            }
        })?;
        Ok(packages)
    }

    fn build(&self, source: &Source, to: &Path) -> Command {
        let mut ldflags = vec!["-s".to_owned(), "-w".to_owned()];
        let stamps = self.module.ldflags.iter();
        ldflags.extend(stamps.map(|flag| flag.replace("{version}", &self.module.version)));
        let mut command = self.command("build", source);
        command.args(["-v", "-ldflags", &ldflags.join(" "), "-o"]).arg(to).arg(&source.package);
        command
    }
}

/// Puts the module's programs, which lie below `built`, into the root file system `root`.
///
/// As hard links: the same file counts once, in the cache and in the page cache of every node.
///
/// # Errors
/// A file cannot be linked.
pub fn install(built: &Path, programs: &[Program], root: &Path) -> Result<()> {
    for program in programs {
        let from = crate::debian::inside(built, &program.path);
        let to = crate::debian::inside(root, &program.path);
        let link = || {
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::hard_link(&from, &to)
        };
        link()
            .into_diagnostic()
            .with_context(|| format!("cannot link {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_readable_and_agrees_with_the_modules() {
        let stack = read().unwrap();
        let mut all = stack.clone();
        for (name, module) in &stack {
            for release in module.releases.keys() {
                all.extend(in_release(stack.clone(), name, *release).unwrap());
            }
        }
        assert_eq!(all.len(), stack.len() + stack["containerd"].releases.len());
        for (name, module) in all {
            assert!(module.directory.starts_with('/'), "{name}");
            let text = recipes::text(&format!("stack/{name}/go.mod")).unwrap();
            let pins = |line: &str| {
                line.trim()
                    .trim_end_matches(" // indirect")
                    .ends_with(&format!(" {}", module.version))
            };
            for (program, source) in &module.programs {
                let pinned = text.lines().filter(|line| pins(line)).any(|line| {
                    let path = line.trim().trim_start_matches("require ").split(' ').next();
                    path.is_some_and(|path| source.package.starts_with(path))
                });
                assert!(pinned, "{program}: go.mod does not require {}", module.version);
                let named = text.lines().any(|line| line.trim().ends_with(&source.package));
                assert!(named, "{program}: no tool line for {}", source.package);
            }
        }
    }

    #[test]
    fn bad_stacks_are_refused() {
        let good = recipes::text(STACK).unwrap();
        assert!(parse(good).is_ok());
        for (case, from, to) in [
            ("no reason", "why = \"the API server's store\"", "why = \" \""),
            ("no version", "version =", "release ="),
            ("unknown field", "cgo = true", "cgoo = true"),
            ("another release", "[containerd.releases.\"2.4\"]", "[containerd.releases.\"2.5\"]"),
            ("its own release", "[containerd.releases.\"2.4\"]", "[containerd.releases.\"2.3\"]"),
            ("no release", "[containerd.releases.\"2.4\"]", "[containerd.releases.newest]"),
        ] {
            assert!(parse(&good.replace(from, to)).is_err(), "{case}");
        }
    }

    #[test]
    fn the_key_follows_every_field() {
        let module = read().unwrap().remove("runc").unwrap();
        let key = module.key("runc").unwrap();
        assert_eq!(key, module.key("runc").unwrap());
        let changed: Vec<(&str, Module)> = vec![
            ("version", Module { version: "v0".into(), ..module.clone() }),
            ("tags", Module { tags: vec![], ..module.clone() }),
            ("cgo", Module { cgo: false, ..module.clone() }),
            ("ldflags", Module { ldflags: vec![], ..module.clone() }),
            ("directory", Module { directory: "/bin".into(), ..module.clone() }),
        ];
        for (field, other) in changed {
            assert_ne!(key, other.key("runc").unwrap(), "{field}");
        }
        let other = OtherVersion { version: "v1.0.0".into(), why: "x".into() };
        let more = BTreeMap::from([("1.0".parse().unwrap(), other)]);
        let with_more = Module { releases: more, ..module.clone() };
        assert_eq!(key, with_more.key("runc").unwrap(), "what is built when it is asked for");
        let reworded = Module { title: String::new(), why: String::new(), ..module.clone() };
        assert_eq!(key, reworded.key("runc").unwrap(), "words for people");
        assert_ne!(key, module.key("cni").unwrap(), "go.mod and go.sum");
        assert!(module.key("nothing").is_err());
    }

    #[test]
    fn another_release_takes_the_place_of_the_own_one() {
        let stack = read().unwrap();
        let own = stack["containerd"].release().unwrap();
        for release in releases(&stack["containerd"]).unwrap() {
            let changed = in_release(stack.clone(), "containerd", release).unwrap();
            assert_eq!(changed.len(), stack.len());
            assert_eq!(changed.contains_key("containerd"), release == own, "{release}");
            let name = |name: &&String| name.starts_with("containerd");
            let module = &changed[changed.keys().find(name).unwrap()];
            assert_eq!(module.release().unwrap(), release);
            assert_eq!(module.tags, stack["containerd"].tags, "built the same way");
        }
        let error = in_release(stack, "containerd", "0.1".parse().unwrap()).unwrap_err();
        assert!(error.help().unwrap().to_string().contains(&own.to_string()), "{error:?}");
    }

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("Kubernetes v1.34.2\n", "1.34.2", Some("v1.34.2")),
            ("etcd Version: 3.6.10\nGit SHA: x", "3.6.10", Some("3.6.10")),
            ("containerd example.org/v2 v2.2.1 \n", "2.2.1", Some("v2.2.1")),
            (
                "CNI bridge plugin v1.9.1\nCNI protocol versions supported: 0.1.0",
                "0.1.0",
                Some("0.1.0"),
            ),
            ("Kubernetes v1.34.20\n", "1.34.2", None),
            ("unknown", "1.0", None),
        ];
        for (text, wanted, found) in table {
            assert_eq!(find_version(text, wanted), *found, "{text}");
        }
    }
}
