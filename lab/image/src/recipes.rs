//! The recipes, compiled in: an installed program builds images without a source tree.

use std::path::Path;

use miette::{Context as _, IntoDiagnostic as _, Result};
use sha2::{Digest as _, Sha256};

/// Changes whenever the code builds something else from the same recipes.
const FORMAT: &str = "1";

/// A table of the files under `vm-images/`, by their path from there.
macro_rules! recipes {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../../vm-images/", $path)))),*]
    };
}

const RECIPES: &[(&str, &str)] = recipes![
    "node/packages.toml",
    "peers/Cargo.lock",
    "peers/Cargo.toml",
    "peers/iwasm/Cargo.toml",
    "peers/iwasm/src/lib.rs",
    "peers/peers.toml",
    "peers/rust-toolchain.toml",
    "peers/shim-wasmedge/Cargo.toml",
    "peers/shim-wasmedge/src/main.rs",
    "peers/shim-wasmedge/src/sys.rs",
    "peers/shim-wasmer/Cargo.toml",
    "peers/shim-wasmer/src/main.rs",
    "peers/shim-wasmtime/Cargo.toml",
    "peers/shim-wasmtime/src/main.rs",
    "peers/wasmer-c-api/Cargo.toml",
    "peers/wasmer-c-api/src/lib.rs",
    "peers/wasmtime-c-api/Cargo.toml",
    "peers/wasmtime-c-api/src/lib.rs",
    "peers/wasmtime-conf.h",
    "stack/cni/go.mod",
    "stack/cni/go.sum",
    "stack/containerd-2.2/go.mod",
    "stack/containerd-2.2/go.sum",
    "stack/containerd-2.4/go.mod",
    "stack/containerd-2.4/go.sum",
    "stack/containerd/go.mod",
    "stack/containerd/go.sum",
    "stack/etcd/go.mod",
    "stack/etcd/go.sum",
    "stack/kubernetes/go.mod",
    "stack/kubernetes/go.sum",
    "stack/metrics-server/go.mod",
    "stack/metrics-server/go.sum",
    "stack/runc/go.mod",
    "stack/runc/go.sum",
    "stack/stack.toml",
    "vm/init",
    "vm/profiles.toml",
    "workloads/cpu.c",
    "workloads/cpu.py",
    "workloads/http.c",
    "workloads/http.py",
    "workloads/lock.toml",
    "workloads/memory.c",
    "workloads/memory.py",
    "workloads/microservice.c",
    "workloads/microservice.py",
    "workloads/pause.c",
    "workloads/python.toml",
    "workloads/service.go",
    "workloads/wamr_sockets.h",
    "workloads/wheels.toml",
    "workloads/workloads.toml",
];

/// The text of the recipe at `path`, a path below `vm-images/`.
///
/// # Errors
/// No such recipe: the table above misses a file that a recipe names.
pub fn text(path: &str) -> Result<&'static str> {
    RECIPES
        .iter()
        .find(|(known, _)| *known == path)
        .map(|(_, text)| *text)
        .ok_or_else(|| miette::miette!("no recipe {path} is built into this program"))
}

/// Writes the recipe at `path` to `to`.
///
/// # Errors
/// No such recipe, or the file cannot be written.
pub fn write(path: &str, to: &Path) -> Result<()> {
    std::fs::write(to, text(path)?)
        .into_diagnostic()
        .with_context(|| format!("cannot write the recipe {path} to {}", to.display()))
}

/// What a stage is made from: two stages with the same inputs have the same key.
#[derive(Default)]
pub struct Inputs(Sha256);

impl Inputs {
    /// No inputs yet, besides the way this code builds.
    pub fn new() -> Self {
        Self::default().value("format", FORMAT)
    }

    /// Adds a named value. Lengths keep `("a", "bc")` apart from `("ab", "c")`.
    #[must_use]
    pub fn value(mut self, name: &str, value: &str) -> Self {
        for part in [name, value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part.as_bytes());
        }
        self
    }

    /// Adds the recipe at `path`.
    ///
    /// # Errors
    /// No such recipe.
    pub fn recipe(self, path: &str) -> Result<Self> {
        Ok(self.value(path, text(path)?))
    }

    /// The key: 16 hexadecimal digits.
    pub fn key(self) -> String {
        let mut digits = crate::digest::hex(&self.0.finalize());
        digits.truncate(16);
        digits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files_below(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn every_recipe_file_is_compiled_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-images");
        let mut files = Vec::new();
        for part in ["node", "peers", "stack", "vm", "workloads"] {
            files_below(&root.join(part), &mut files);
        }
        let on_disk: BTreeSet<String> = files
            .iter()
            .map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .filter(|path| Path::new(path).extension().is_none_or(|kind| kind != "md"))
            .collect();
        let compiled_in: BTreeSet<String> =
            RECIPES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, compiled_in);
    }

    #[test]
    fn a_key_depends_on_every_input() {
        let key = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .fold(Inputs::new(), |inputs, (name, value)| inputs.value(name, value))
                .key()
        };
        let base = key(&[("a", "b"), ("c", "d")]);
        assert_eq!(base, key(&[("a", "b"), ("c", "d")]));
        assert_eq!(base.len(), 16);
        let others: &[(&str, &[(&str, &str)])] = &[
            ("another value", &[("a", "b"), ("c", "e")]),
            ("another name", &[("a", "b"), ("x", "d")]),
            ("another order", &[("c", "d"), ("a", "b")]),
            ("a border moved", &[("a", "bc"), ("", "d")]),
            ("one input less", &[("a", "b")]),
        ];
        for (case, pairs) in others {
            assert_ne!(base, key(pairs), "{case}");
        }
    }

    #[test]
    fn an_unknown_recipe_is_an_error() {
        assert!(Inputs::new().recipe("stack/nothing").is_err());
    }
}
