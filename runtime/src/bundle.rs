//! A bundle on disk: config.json and the root file system it names.

use crate::config_json::{self, Parsed};
use crate::error::{Act, Error, Result};
use oci_spec::runtime::Spec;
use std::fs;
use std::path::{Path, PathBuf};

/// A bundle, read and parsed.
#[derive(Debug)]
pub struct Bundle {
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// config.json.
    pub spec: Spec,
    /// What of config.json was passed over, a sentence each.
    pub notes: Vec<String>,
}

impl Bundle {
    /// Reads the bundle in `directory`.
    ///
    /// # Errors
    /// [`Error::Os`]: not readable; those of [`config_json::parse`].
    pub fn load(directory: &Path) -> Result<Self> {
        let directory = fs::canonicalize(directory)
            .act(|| format!("open the bundle {}", directory.display()))?;
        let path = directory.join("config.json");
        let bytes = fs::read(&path).act(|| format!("read {}", path.display()))?;
        let Parsed { value: spec, notes } = config_json::parse(&bytes, &path.to_string_lossy())?;
        Ok(Self { directory, spec, notes })
    }

    /// The root file system, absolute and without symlinks.
    ///
    /// # Errors
    /// [`Error::Config`]: none is named; [`Error::Os`]: it does not exist.
    pub fn rootfs(&self) -> Result<PathBuf> {
        let root = self.spec.root().as_ref();
        let root = root.ok_or_else(|| Error::config("root", "is needed"))?;
        let path = self.directory.join(root.path());
        let path = fs::canonicalize(&path).act(|| format!("open root.path {}", path.display()))?;
        if path == Path::new("/") {
            return Err(Error::config("root.path", "is the host's own root"));
        }
        if !path.is_dir() {
            return Err(Error::config("root.path", format!("{} is no directory", path.display())));
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_never_the_hosts() {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), r#"{"root": {"path": "/../"}}"#).unwrap();
        let error = Bundle::load(bundle.path()).unwrap().rootfs().unwrap_err();
        assert!(error.to_string().contains("host's own root"));
    }
}
