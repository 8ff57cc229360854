//! state.json: what later verbs must know of a container, written once by `create`.
//!
//! Replaced atomically: a reader sees a whole file or none. Its status is not in it; status is
//! derived from the process and from the gate (`container.rs`).

use crate::cgroup::{Cgroup, Driver};
use crate::error::{Act, Error, Result};
use oci_spec::runtime::{Hook, LinuxResources, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's name in the container's directory.
pub const NAME: &str = "state.json";
const SCHEMA: u32 = 1;

/// The content of state.json.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The layout of this file; another number is refused.
    pub schema: u32,
    /// `ociVersion` of the bundle.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// The init process, in the runtime's PID namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot: tells it from a later process of its PID.
    pub start_ticks: u64,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: PathBuf,
    /// When the container was created, RFC 3339 in UTC.
    pub created: String,
    /// The name of the user who created it.
    pub owner: String,
    /// Its control groups.
    pub cgroup: Cgroup,
    /// Who made them.
    pub cgroup_driver: Driver,
    /// The limits in force: those of the bundle and what `update` has changed of them.
    pub resources: LinuxResources,
    /// `annotations` of the bundle.
    pub annotations: BTreeMap<String, String>,
    /// What `exec` needs of config.json.
    pub config: Box<Spec>,
    /// The container has no session keyring of its own.
    pub no_new_keyring: bool,
    /// Groups of resctrl that were made for it.
    pub resctrl: Vec<PathBuf>,
    /// Hooks for `start`.
    pub poststart: Vec<Hook>,
    /// Hooks for `delete`.
    pub poststop: Vec<Hook>,
}

impl State {
    /// The layout this version writes.
    pub const fn schema() -> u32 {
        SCHEMA
    }

    /// Reads state.json in `directory`; `None` where there is none (yet).
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Json`], [`Error::Usage`]: another version's file.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).act(|| format!("read {}", path.display())),
        };
        let state: Self =
            serde_json::from_slice(&bytes).map_err(|source| Error::Json { path, source })?;
        if state.schema != SCHEMA {
            return Err(Error::Usage(format!(
                "container {}: its state has layout {}, this runtime knows {SCHEMA}: use the \
                 version that created it",
                state.id, state.schema
            )));
        }
        Ok(Some(state))
    }

    /// Writes state.json in `directory`.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(NAME);
        let bytes = serde_json::to_vec(self)
            .map_err(|source| Error::Json { path: path.clone(), source })?;
        // It may hold secrets of the environment.
        replace(&path, &bytes, 0o600)
    }
}

/// Replaces `path` by a file with `bytes` and `mode`, in one step for every reader.
///
/// # Errors
/// [`Error::Os`].
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(mode).open(&new);
    opened.and_then(|mut file| file.write_all(bytes)).act(|| format!("write {}", new.display()))?;
    fs::rename(&new, path).act(|| format!("rename {} to its place", new.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::v2;

    fn state() -> State {
        State {
            schema: SCHEMA,
            oci_version: "1.2.0".into(),
            id: "a".into(),
            pid: 7,
            start_ticks: 9,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-01-01T00:00:00Z".into(),
            owner: "root".into(),
            cgroup: Cgroup::V2(v2::Group { directory: "/g".into(), first_made: None, scope: None }),
            cgroup_driver: Driver::Cgroupfs,
            resources: LinuxResources::default(),
            annotations: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            config: Box::default(),
            no_new_keyring: false,
            resctrl: Vec::new(),
            poststart: Vec::new(),
            poststop: Vec::new(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        assert!(State::read(directory.path()).unwrap().is_none());
        state().write(directory.path()).unwrap();
        let read = State::read(directory.path()).unwrap().unwrap();
        assert_eq!((read.pid, read.cgroup), (7, state().cgroup));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_layout_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        State { schema: 99, ..state() }.write(directory.path()).unwrap();
        let error = State::read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("layout 99"), "{error}");
    }
}
