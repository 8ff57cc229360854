//! The runtimes that are compared, as they are found inside the arena.

use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Deserialize;

/// Where the programs of this workspace appear inside the arena.
pub const OURS: &str = "/opt/wamr/bin";
/// Where programs that are built from a registry appear inside the arena.
pub const BUILT: &str = "/opt/wamr/peers";

/// A runtime under comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name in tables.
    pub name: &'static str,
    /// Its program inside the arena.
    pub program: PathBuf,
    /// Whether it runs Wasm, and by which annotation it is told to.
    pub wasm: Option<(&'static str, &'static str)>,
}

/// All that are known; ours is the first.
pub fn all() -> Vec<Peer> {
    vec![
        Peer { name: "wamr-crun", program: Path::new(OURS).join("wamr-crun"), wasm: Some(WASM) },
        Peer { name: "crun", program: "/usr/bin/crun".into(), wasm: Some(WASM) },
        Peer { name: "runc", program: "/usr/local/bin/runc".into(), wasm: None },
        Peer { name: "youki", program: Path::new(BUILT).join("bin/youki"), wasm: None },
    ]
}

const WASM: (&str, &str) = ("module.wasm.image/variant", "compat");

/// The peers of these names, which must exist here.
///
/// # Errors
/// An unknown name; a program that is missing.
pub fn named(names: &[String]) -> Result<Vec<Peer>> {
    names
        .iter()
        .map(|name| {
            let peer = all().into_iter().find(|peer| peer.name == name);
            let peer = peer.ok_or_else(|| miette!("{name:?} is no runtime known here"))?;
            if peer.program.exists() {
                return Ok(peer);
            }
            Err(miette!(
                help = "make image builds crun and runc, make build wamr-crun, make peers youki",
                "{} is missing: {}",
                peer.name,
                peer.program.display()
            ))
        })
        .collect()
}

impl Peer {
    /// The number its `--version` prints.
    ///
    /// # Errors
    /// It does not run.
    pub fn version(&self) -> Result<String> {
        version(&self.program)
    }
}

/// The number that a runtime's `--version` prints.
///
/// # Errors
/// It does not run.
pub fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output
        .into_diagnostic()
        .wrap_err_with(|| format!("run {} --version", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.split_whitespace();
    let number = words
        .map(|word| word.trim_end_matches(','))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    number.map(str::to_owned).ok_or_else(|| miette!("{} tells no version", program.display()))
}

#[derive(Deserialize)]
struct NodeImage {
    rootfs: PathBuf,
}

/// The node image's root file system in `cache`.
///
/// # Errors
/// It has not been built.
pub fn node_image(cache: &Path) -> Result<PathBuf> {
    let file = cache.join("image.json");
    let text = std::fs::read_to_string(&file).into_diagnostic().wrap_err_with(|| {
        format!("read {}: make image builds the node image, as root", file.display())
    })?;
    let image: NodeImage = serde_json::from_str(&text).into_diagnostic()?;
    Ok(image.rootfs)
}
