//! A bundle on disk: config.json and the root file system it names.

use crate::config_json::{self, Parsed};
use crate::error::{Act, Error, Result};
use oci_spec::runtime::{Mount, Spec};
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
    /// Reads the bundle in `directory`; its configuration from `config` if that is given.
    ///
    /// # Errors
    /// [`Error::Os`]: not readable; those of [`config_json::parse`].
    pub fn load(directory: &Path, config: Option<&Path>) -> Result<Self> {
        let directory = fs::canonicalize(directory)
            .act(|| format!("open the bundle {}", directory.display()))?;
        let path = directory.join(config.unwrap_or(Path::new("config.json")));
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

/// The part of `spec` that a later `exec` needs, kept with the container's state: what happens to
/// the bundle after `create` must not matter. Pure.
///
/// Source: runtime-spec runtime.md "Lifecycle", step 2.
pub fn for_exec(spec: &Spec) -> Spec {
    let mut kept = Spec::default();
    kept.set_version(spec.version().clone());
    kept.set_root(None).set_mounts(None).set_hostname(None);
    kept.set_process(spec.process().clone());
    kept.set_annotations(spec.annotations().clone());
    let places = spec.mounts().iter().flatten().map(|mount| {
        let mut place = Mount::default();
        place.set_destination(mount.destination().clone());
        place.set_typ(None).set_source(None).set_options(None);
        place
    });
    kept.set_mounts(Some(places.collect()));
    kept.set_linux(spec.linux().clone().map(|mut linux| {
        linux.set_resources(None).set_devices(None).set_sysctl(None).set_cgroups_path(None);
        linux.set_masked_paths(None).set_readonly_paths(None).set_namespaces(None);
        linux.set_uid_mappings(None).set_gid_mappings(None).set_time_offsets(None);
        linux
    }));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_keeps_who_the_process_is_and_little_else() {
        let json = br#"{"ociVersion": "1.2.0", "hostname": "h", "root": {"path": "r"},
            "process": {"user": {"uid": 7, "gid": 0}, "args": ["a"], "cwd": "/"},
            "mounts": [{"destination": "/d", "type": "bind", "source": "/s"}],
            "linux": {"namespaces": [{"type": "pid"}], "resources": {"pids": {"limit": 5}},
            "maskedPaths": ["/m"], "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;
        let kept = serde_json::to_value(for_exec(&serde_json::from_slice(json).unwrap())).unwrap();
        let want = serde_json::json!({"ociVersion": "1.2.0",
            "process": {"user": {"uid": 7, "gid": 0}, "args": ["a"], "cwd": "/"},
            "mounts": [{"destination": "/d"}],
            "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}});
        assert_eq!(kept, want);
        assert!(serde_json::from_value::<Spec>(kept).is_ok());
    }

    #[test]
    fn the_root_is_never_the_hosts() {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), r#"{"root": {"path": "/../"}}"#).unwrap();
        let error = Bundle::load(bundle.path(), None).unwrap().rootfs().unwrap_err();
        assert!(error.to_string().contains("host's own root"));
    }
}
