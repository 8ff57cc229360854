//! Finds the other programs of ours: beside the runtime, else where packages put them.

use crate::error::{Act, Error, Result};
use crate::self_exe;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Runs compiled modules.
pub const RUNNER: &str = "wasmtime-runner";
/// Compiles them.
pub const COMPILER: &str = "wamr-compile";
/// Where they are when they are not beside the runtime.
const INSTALLED: &str = "/usr/libexec/wamr-crun";

/// The path of the program `name`.
///
/// # Errors
/// [`Error::Workload`]: it is not installed; [`Error::Os`].
pub fn find(name: &str) -> Result<PathBuf> {
    let own = self_exe::path();
    let directory = own.parent().unwrap_or(Path::new("/"));
    let places = [
        directory.join(name),
        directory.join("../libexec/wamr-crun").join(name),
        Path::new(INSTALLED).join(name),
    ];
    for place in &places {
        match place.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => {
                found.act(|| format!("look at {}", place.display()))?;
                return Ok(place.clone());
            }
        }
    }
    let tried: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    Err(Error::Workload(format!(
        "{name} is not installed, so no module runs compiled: put it beside {} (tried {})",
        own.display(),
        tried.join(", ")
    )))
}

/// Opens the program `name` so that nobody in a container can write it.
///
/// # Errors
/// Those of [`find`].
pub fn open(name: &str) -> Result<OwnedFd> {
    let path = find(name)?;
    self_exe::read_only(&path).act(|| format!("open {}", path.display()))
}
