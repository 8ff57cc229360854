//! Puts the parts together: the order of the stages and the node's root file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use miette::{Context as _, IntoDiagnostic as _, Result};
use wamr_progress::Progress;
use wamr_record::release::Release;

use crate::cache::{Bench, Cache, Stage};
use crate::debian::{self, Variant};
use crate::recipes::Inputs;
use crate::stack::{self, Built, Stack};
use crate::workloads::{self, Workload, Workloads};
use crate::{NodeImage, WorkloadImage, tool};

/// Name of the root file system in its stage's folder.
const ROOT: &str = "rootfs";

/// The module that other releases can take the place of.
pub const CONTAINERD: &str = "containerd";

/// Files that mmdebstrap copies from the building machine; a node has its own.
const OF_THE_BUILDING_MACHINE: &[&str] = &["etc/hostname", "etc/resolv.conf"];

/// Everything that says what a node image is.
pub struct Recipes {
    stack: Stack,
    debian: debian::Recipe,
    workloads: Workloads,
}

/// What the stack's stages gave: module → folder and description.
type Modules = BTreeMap<String, (PathBuf, Built)>;

/// Name → the image, and versions of what made it.
type Images = BTreeMap<String, (WorkloadImage, BTreeMap<String, String>)>;

impl Recipes {
    /// Reads all of them.
    ///
    /// # Errors
    /// One is not what this version understands.
    pub fn read() -> Result<Self> {
        Ok(Self {
            stack: stack::read()?,
            debian: debian::Recipe::read()?,
            workloads: workloads::read()?,
        })
    }

    /// The same with another release of containerd.
    ///
    /// # Errors
    /// There is none of it.
    pub fn with_containerd(mut self, release: Release) -> Result<Self> {
        self.stack = stack::in_release(self.stack, CONTAINERD, release)?;
        Ok(self)
    }

    /// The key of the whole image.
    ///
    /// # Errors
    /// A recipe names a file that is not there.
    pub fn key(&self) -> Result<String> {
        let mut inputs = Inputs::new().value("root", &self.root_key()?);
        for (name, workload) in self.always() {
            inputs = inputs.value(name, &workload.key(name, &self.debian.debian)?);
        }
        Ok(inputs.key())
    }

    /// The images that come with a node image.
    fn always(&self) -> impl Iterator<Item = (&String, &Workload)> {
        self.workloads.iter().filter(|(_, workload)| !workload.is_on_demand())
    }

    /// Those of `names` that are made on demand.
    pub fn on_demand<'a>(&self, names: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let is_one = |name: &&str| self.workloads.get(*name).is_some_and(Workload::is_on_demand);
        names.iter().copied().filter(is_one).collect()
    }

    fn debian_key(&self) -> String {
        let names = self.debian.packages().map(|package| package.name.as_str());
        let inputs = names.fold(Inputs::new(), |inputs, name| inputs.value("package", name));
        self.debian.debian.inputs(inputs).key()
    }

    fn root_key(&self) -> Result<String> {
        let mut inputs = Inputs::new().value("debian", &self.debian_key());
        for (name, module) in &self.stack {
            inputs = inputs.value(name, &module.key(name)?);
        }
        Ok(inputs.key())
    }

    /// Builds what is missing.
    ///
    /// # Errors
    /// The first failure of a stage; the other stages run to their end.
    pub fn build(&self, cache: &Cache, progress: &Progress) -> Result<NodeImage> {
        // Go keeps the processors busy, Debian's packages the network and the disk.
        let (modules, rest) = thread::scope(|scope| {
            let rest = scope.spawn(|| {
                Ok::<_, miette::Report>((
                    self.debian_root(cache, progress)?,
                    self.images(cache, progress)?,
                ))
            });
            (self.modules(cache, progress), rest.join())
        });
        let (debian_root, workloads) =
            rest.map_err(|_| miette::miette!("building the file systems panicked"))??;
        let modules = modules?;
        let rootfs = self.root(&debian_root, &modules, cache, progress)?;
        let programs = modules.values().flat_map(|(_, built)| built.programs.clone()).collect();
        let mut versions = versions(&rootfs, &modules)?;
        let mut images = BTreeMap::new();
        for (name, (image, tools)) in workloads {
            versions.extend(tools);
            images.insert(name, image);
        }
        Ok(NodeImage { rootfs, versions, programs, workloads: images })
    }

    /// The images of `names` without a node, for nodes that somebody else has made.
    ///
    /// # Errors
    /// The first failure of a stage.
    pub fn build_workloads(
        &self,
        names: &BTreeSet<&str>,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<NodeImage> {
        let (mut versions, mut workloads) = (BTreeMap::new(), BTreeMap::new());
        for (name, row) in self.workloads.iter().filter(|(name, _)| names.contains(name.as_str())) {
            let (image, tools) = row.ensure(name, &self.debian.debian, cache, progress)?;
            versions.extend(tools);
            workloads.insert(name.clone(), image);
        }
        Ok(NodeImage { rootfs: PathBuf::new(), versions, programs: Vec::new(), workloads })
    }

    /// Two modules at a time: while one fetches or links, which keeps one processor busy at most,
    /// the other compiles.
    fn modules(&self, cache: &Cache, progress: &Progress) -> Result<Modules> {
        let waiting = Mutex::new(self.stack.iter());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result<Modules> {
            std::iter::from_fn(next)
                .map(|(name, module)| Ok((name.clone(), module.ensure(name, cache, progress)?)))
                .collect()
        };
        let (one, other) = thread::scope(|scope| {
            let other = scope.spawn(work);
            (work(), other.join())
        });
        let mut modules = one?;
        modules.extend(other.map_err(|_| miette::miette!("building a Go module panicked"))??);
        Ok(modules)
    }

    fn images(&self, cache: &Cache, progress: &Progress) -> Result<Images> {
        let debian = &self.debian.debian;
        self.always()
            .map(|(name, row)| Ok((name.clone(), row.ensure(name, debian, cache, progress)?)))
            .collect()
    }

    fn debian_root(&self, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
        let title = "Debian file system";
        let key = self.debian_key();
        let stage = Stage { name: "debian", title, key: &key, pieces: 0 };
        let (folder, ()) = cache.stage(stage, progress, |bench| {
            let root = bench.out.join(ROOT);
            let packages: Vec<_> = self.debian.packages().cloned().collect();
            self.debian.debian.install(bench, Variant::Essential, &packages, &root)?;
            for path in OF_THE_BUILDING_MACHINE {
                match fs::remove_file(root.join(path)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).into_diagnostic().context("cannot remove a copied file");
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(folder.join(ROOT))
    }

    fn root(
        &self,
        debian_root: &Path,
        modules: &Modules,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<PathBuf> {
        let title = "root file system of a node";
        let key = self.root_key()?;
        let stage = Stage { name: "root", title, key: &key, pieces: 0 };
        let (folder, ()) = cache.stage(stage, progress, |bench| {
            let root = bench.out.join(ROOT);
            copy_linked(debian_root, &root, bench)?;
            for (built, description) in modules.values() {
                stack::install(built, &description.programs, &root)?;
            }
            Ok(())
        })?;
        Ok(folder.join(ROOT))
    }
}

/// Copies a tree with hard links in place of files: nothing writes to either.
///
/// # Errors
/// cp fails.
pub fn copy_linked(from: &Path, to: &Path, bench: &mut Bench<'_>) -> Result<()> {
    let mut command = tool::command("cp");
    command.args(["--archive", "--link"]).arg(from).arg(to);
    bench.log.run(command, |_| {})
}

/// Component → version. Libraries and Debian say theirs through dpkg.
fn versions(root: &Path, modules: &Modules) -> Result<BTreeMap<String, String>> {
    let mut versions: BTreeMap<String, String> =
        modules.values().flat_map(|(_, built)| built.versions.clone()).collect();
    let printed = debian::output_inside(root, "/usr/bin/crun", &["--version"])?;
    let crun = printed.lines().next().and_then(|line| line.strip_prefix("crun version "));
    let packages = debian::installed(root)?;
    let wasmedge = packages.get("libwasmedge0").map(String::as_str);
    let release = fs::read_to_string(root.join("etc/debian_version")).ok();
    let others =
        [("crun", crun), ("wasmedge", wasmedge), ("debian", release.as_deref().map(str::trim))]
            .map(|(name, version)| Some((name.to_owned(), version?.to_owned())));
    versions.extend(others.into_iter().flatten());
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Recipes);

    #[test]
    fn the_key_follows_every_part() {
        let key = Recipes::read().unwrap().key().unwrap();
        let changes: [(&str, Change); 5] = [
            ("another release", |recipes| {
                let other = "2.4".parse().unwrap();
                let stack = stack::in_release(recipes.stack.clone(), CONTAINERD, other);
                recipes.stack = stack.unwrap();
            }),
            ("one module less", |recipes| drop(recipes.stack.remove("cni"))),
            ("one package less", |recipes| drop(recipes.debian.node.pop())),
            ("one image less", |recipes| drop(recipes.workloads.remove("pause"))),
            ("another time stamp", |recipes| recipes.debian.debian.source_date_epoch += 1),
        ];
        for (case, change) in changes {
            let mut recipes = Recipes::read().unwrap();
            assert_eq!(key, recipes.key().unwrap());
            change(&mut recipes);
            assert_ne!(key, recipes.key().unwrap(), "{case}");
        }
        let mut fewer = Recipes::read().unwrap();
        fewer.workloads.remove("python-wasm").unwrap();
        assert_eq!(key, fewer.key().unwrap(), "what is made on demand is no part of it");
        let asked = ["python-wasm", "microservice-wasm", "nothing"].into();
        assert_eq!(Recipes::read().unwrap().on_demand(&asked), ["python-wasm"].into());
        let mut reworded = Recipes::read().unwrap();
        for package in &mut reworded.debian.node {
            package.why.clear();
        }
        assert_eq!(key, reworded.key().unwrap(), "words for people");
    }
}
