//! A bundle on disk: config.json and the root file system it names.

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
    /// Properties of config.json that no version of the spec known here has, as paths.
    pub unknown: Vec<String>,
}

impl Bundle {
    /// Reads the bundle in `directory`.
    ///
    /// # Errors
    /// [`Error::Os`]: not readable; [`Error::Json`]: not a config.json.
    pub fn load(directory: &Path) -> Result<Self> {
        let directory = fs::canonicalize(directory)
            .act(|| format!("open the bundle {}", directory.display()))?;
        let path = directory.join("config.json");
        let bytes = fs::read(&path).act(|| format!("read {}", path.display()))?;
        let (spec, unknown) = parse(&bytes).map_err(|source| Error::Json { path, source })?;
        Ok(Self { directory, spec, unknown })
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

/// Parses config.json; returns the properties that were passed over.
///
/// # Errors
/// Those of serde_json.
pub fn parse(bytes: &[u8]) -> serde_json::Result<(Spec, Vec<String>)> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let spec = serde_ignored::deserialize(&mut json, |path| unknown.push(path.to_string()))?;
    json.end()?;
    Ok((spec, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_properties_are_told() {
        let json = br#"{"ociVersion": "1.2.0", "linux": {"namespaces": [{"type": "pid",
            "colour": 1}], "magic": {}}}"#;
        let (spec, unknown) = parse(json).unwrap();
        assert_eq!(spec.version(), "1.2.0");
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[1].contains("linux") && unknown[1].contains("magic"), "{unknown:?}");
        assert!(parse(b"{} x").is_err());
    }

    #[test]
    fn the_root_is_never_the_hosts() {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), r#"{"root": {"path": "/../"}}"#).unwrap();
        let error = Bundle::load(bundle.path()).unwrap().rootfs().unwrap_err();
        assert!(error.to_string().contains("host's own root"));
    }
}
