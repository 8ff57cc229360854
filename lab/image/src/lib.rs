//! The node image: everything a node is made of, built once into a cache.
//!
//! A stage per part (each Go module, the Debian file system, each workload image), each under a key
//! of what it is made from; a stage that is there is never built again. The recipes are the files
//! in `vm-images/`; they are compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;
use wamr_record::cell::Program;
use wamr_record::release::Release;

mod archive;
mod assembly;
mod cache;
mod debian;
mod digest;
mod disk;
mod layer;
pub mod lock;
pub mod peers;
pub mod program_image;
mod python;
mod recipes;
pub mod requirements;
mod stack;
mod tool;
pub mod wheel;
mod workload_program;
mod workloads;

pub use cache::default_cache;
pub use disk::{MachineImage, archive_path, ensure_machine};

/// A finished node image, `image.json` in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeImage {
    /// The root file system: a Debian with the pinned stack in `/usr/local/bin` and `/opt/cni/bin`.
    /// Nodes mount it read-only below an overlay.
    pub rootfs: PathBuf,
    /// Component → version, as the components themselves print it.
    pub versions: BTreeMap<String, String>,
    /// Programs of the stack: path inside the root file system, digest.
    pub programs: Vec<Program>,
    /// Workload images (and `pause`) by name.
    pub workloads: BTreeMap<String, WorkloadImage>,
}

/// An OCI image archive, ready for `ctr images import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadImage {
    /// The archive (an OCI image layout as tar).
    pub archive: PathBuf,
    /// The name it is imported under, `localhost/wamr-lab/NAME:1`.
    pub reference: String,
    /// Digest of its manifest, `sha256:…`.
    pub manifest_digest: String,
    /// The program a container of it runs: path in the image and digest.
    pub program: Program,
}

/// `image.json`: the image and the key of everything that it was made from.
#[derive(Serialize, Deserialize)]
struct Described {
    key: String,
    #[serde(flatten)]
    image: NodeImage,
}

/// The recipe of virtual nodes' sizes, `vm-images/vm/profiles.toml`.
pub const PROFILES: &str = include_str!("../../../vm-images/vm/profiles.toml");

/// Where [`ensure`] describes the finished image.
pub fn description_path(cache: &Path) -> PathBuf {
    cache.join("image.json")
}

/// The releases of containerd that a node image can have, ascending.
///
/// # Errors
/// The recipe of the stack is broken.
pub fn containerd_releases() -> Result<Vec<Release>> {
    stack::releases(&containerd(&stack::read()?)?)
}

/// The release of containerd that a node image has unless another one is asked for.
///
/// # Errors
/// As [`containerd_releases`].
pub fn default_containerd() -> Result<Release> {
    containerd(&stack::read()?)?.release()
}

fn containerd(stack: &stack::Stack) -> Result<stack::Module> {
    let module = stack.get(assembly::CONTAINERD).cloned();
    module.ok_or_else(|| miette::miette!("the stack has no {}", assembly::CONTAINERD))
}

/// The node image in `cache`, building what is missing.
///
/// With everything there, it takes milliseconds, and needs neither root nor any tool.
///
/// # Errors
/// A tool is missing, a build fails: the error says which and where its log is.
pub fn ensure(cache: &Path, progress: &Progress) -> Result<NodeImage> {
    ensure_from(&assembly::Recipes::read()?, &description_path(cache), cache, progress)
}

/// The node image with a release of containerd. All else is that of [`ensure`], and the same files.
///
/// # Errors
/// As [`ensure`]; there is no such release.
pub fn ensure_release(cache: &Path, release: Release, progress: &Progress) -> Result<NodeImage> {
    if release == default_containerd()? {
        return ensure(cache, progress);
    }
    let recipes = assembly::Recipes::read()?.with_containerd(release)?;
    let description = cache.join(format!("image-containerd-{release}.json"));
    ensure_from(&recipes, &description, cache, progress)
}

/// The image that `recipes` make; `description` is the file that says that it is finished.
fn ensure_from(
    recipes: &assembly::Recipes,
    description: &Path,
    cache: &Path,
    progress: &Progress,
) -> Result<NodeImage> {
    let key = recipes.key()?;
    if let Some(image) = finished(description, &key) {
        return Ok(image);
    }
    if !nix::unistd::geteuid().is_root() {
        miette::bail!(
            help = "run it as root, or let `WAMR_LAB_CACHE` name a cache with a finished image",
            "the node image is not built yet, and only root can build it (a Debian file system has \
             files of other owners)"
        );
    }
    requirements::require()?;
    // Relative paths would mean another place to whoever reads image.json.
    let cache = std::path::absolute(cache).into_diagnostic()?;
    let opened = cache::Cache::open(&cache, progress)?;
    // Another process may have built it while this one waited.
    if let Some(image) = finished(description, &key) {
        return Ok(image);
    }
    let image = recipes.build(&opened, progress)?;
    let described = Described { key, image };
    cache::write_json(description, &described)?;
    Ok(described.image)
}

/// The images of the workloads `names` in `cache`, with no root file system: what a run on a
/// cluster needs. Those without an interpreter can be built by any user.
///
/// # Errors
/// A compiler is missing or fails, or the cache cannot be written.
pub fn ensure_workloads(
    cache: &Path,
    names: &BTreeSet<&str>,
    progress: &Progress,
) -> Result<NodeImage> {
    let recipes = assembly::Recipes::read()?;
    if let Some(mut image) = finished(&description_path(cache), &recipes.key()?) {
        add_on_demand(&mut image, cache, names, progress)?;
        return Ok(image);
    }
    let cache = std::path::absolute(cache).into_diagnostic()?;
    recipes.build_workloads(names, &cache::Cache::open(&cache, progress)?, progress)
}

/// Adds to `image` what it lacks of the workloads `names`, if they are made on demand. A name that
/// is in no recipe is nobody's here: the experiment's reader refuses it.
///
/// # Errors
/// As [`ensure_workloads`].
pub fn add_on_demand(
    image: &mut NodeImage,
    cache: &Path,
    names: &BTreeSet<&str>,
    progress: &Progress,
) -> Result<()> {
    let recipes = assembly::Recipes::read()?;
    let lacks = |name: &&str| !image.workloads.contains_key(*name);
    let asked: BTreeSet<&str> = names.iter().copied().filter(lacks).collect();
    let wanted = recipes.on_demand(&asked);
    if wanted.is_empty() {
        return Ok(());
    }
    let cache = std::path::absolute(cache).into_diagnostic()?;
    let cache = cache::Cache::open(&cache, progress)?;
    let made = recipes.build_workloads(&wanted, &cache, progress)?;
    image.versions.extend(made.versions);
    image.workloads.extend(made.workloads);
    Ok(())
}

/// The layer with Debian's Python that the Python images share, as a tar archive.
///
/// # Errors
/// mmdebstrap or the interpreter fails, or the layer cannot be written.
pub fn python_layer(cache: &Path, progress: &Progress) -> Result<PathBuf> {
    let cache = cache::Cache::open(&std::path::absolute(cache).into_diagnostic()?, progress)?;
    let debian = debian::Recipe::read()?.debian;
    Ok(python::Interpreter::read()?.ensure(&debian, &cache, progress)?.file)
}

/// The image that `description` describes, if it is made from the same and its files are there.
fn finished(description: &Path, key: &str) -> Option<NodeImage> {
    let text = fs::read(description).ok()?;
    let described: Described = serde_json::from_slice(&text).ok()?;
    let image = described.image;
    let archives = image.workloads.values().all(|workload| workload.archive.is_file());
    (described.key == key && image.rootfs.is_dir() && archives).then_some(image)
}
