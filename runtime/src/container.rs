//! A container in the state directory: its name, its files and its status.
//!
//! ```text
//!          create                   start            exit              delete
//! nothing -------> creating -> created -----> running -----> stopped ---------> nothing
//!                  setup.fifo  exec.fifo   |  neither        process gone
//!                                 ^        v      ^
//!                                 +---- paused ---+  group frozen: pause and resume
//! ```
//! The status is read off the directory and /proc, so it cannot disagree with them: the gate's
//! FIFO is renamed when the init waits at it and removed when `start` opens it.

use crate::cgroup::freezer;
use crate::compiled;
use crate::error::{Act, Error, Result};
use crate::rootfs::pivot;
use crate::state_file::State;
use crate::sys::regex::Regex;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// The gate while the init is being set up.
pub const SETUP_GATE: &str = "setup.fifo";
/// The gate while the init waits for `start`.
pub const GATE: &str = "exec.fifo";

/// Where the root of a container without a mount namespace is mounted.
pub const SHARED_ROOT: &str = "root";

/// What an init with startContainer hooks says of its failure after the gate.
pub const REPORT: &str = "report.fifo";

/// A link whose text is the path of the container's groups, made before them: a `create` that is
/// killed before it could write the state leaves them to `delete`.
const GROUPS: &str = "groups";

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// The init waits for `start`.
    Created,
    /// The container's program runs.
    Running,
    /// The groups are frozen, by `pause` or by somebody else.
    Paused,
    /// The init is gone.
    Stopped,
}

impl Status {
    /// The spec's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The output of `state`, and what hooks read from their stdin.
///
/// Source: runtime-spec runtime.md "State"; `rootfs`, `created` and `owner` are runc's.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// `ociVersion` of the bundle.
    #[serde(rename = "ociVersion")]
    pub oci_version: &'a str,
    /// The container's name.
    pub id: &'a str,
    /// The init's PID; 0 when it is gone.
    pub pid: i32,
    /// The spec's word.
    pub status: &'static str,
    /// The bundle's directory.
    pub bundle: &'a Path,
    /// The root file system.
    pub rootfs: &'a Path,
    /// What runs its guest, as its process shows: `interpreted` or `compiled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// When the container was created.
    pub created: &'a str,
    /// The user who created it.
    pub owner: &'a str,
    /// `annotations` of the bundle.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: &'a BTreeMap<String, String>,
}

/// What `state` prints for `state` in `status`.
pub fn report(state: &State, status: Status) -> Report<'_> {
    Report {
        oci_version: &state.oci_version,
        id: &state.id,
        pid: if status == Status::Stopped { 0 } else { state.pid },
        status: status.as_str(),
        bundle: &state.bundle,
        rootfs: &state.rootfs,
        engine: match status {
            Status::Running | Status::Paused => compiled::engine_of(state.pid),
            Status::Creating | Status::Created | Status::Stopped => None,
        },
        created: &state.created,
        owner: &state.owner,
        annotations: &state.annotations,
    }
}

/// The report as JSON in one line.
pub fn report_json(state: &State, status: Status) -> String {
    // Strings, numbers and paths read as UTF-8 JSON before: there is nothing that can fail.
    serde_json::to_string(&report(state, status)).unwrap_or_default()
}

/// A container's directory.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name.
    pub id: String,
    /// Its directory below `--root`.
    pub directory: PathBuf,
}

/// The names of what is below `root`, sorted; none if it does not exist.
///
/// # Errors
/// [`Error::Os`]: it cannot be read.
pub fn names(root: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.act(|| format!("read {}", root.display()))?,
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The containers below `root` that `name` means: the one, or with `regex` those it is found in.
///
/// # Errors
/// [`Error::Usage`]: no proper name or expression; [`Error::Os`].
pub fn chosen(root: &Path, name: &str, regex: bool) -> Result<Vec<Container>> {
    if !regex {
        return Ok(vec![Container::new(root, name)?]);
    }
    let pattern = Regex::new(name).map_err(|error| Error::Usage(format!("--regex: {error}")))?;
    let found = names(root)?.into_iter().filter(|name| pattern.is_in(name));
    // What is no container's name is not ours.
    Ok(found.filter_map(|name| Container::new(root, &name).ok()).collect())
}

/// The right to change a container; another verb waits for it.
pub type Lock = Flock<File>;

impl Container {
    /// The container `id` below `root`, which may not exist.
    ///
    /// # Errors
    /// [`Error::Usage`]: no proper name.
    pub fn new(root: &Path, id: &str) -> Result<Self> {
        let proper = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        if id.is_empty() || matches!(id, "." | "..") || !id.chars().all(proper) || id.len() > 255 {
            return Err(Error::Usage(format!(
                "invalid container ID format: {id:?}: use at most 255 letters, digits and _ + - ."
            )));
        }
        Ok(Self { id: id.to_owned(), directory: root.join(id) })
    }

    /// Makes the directory and locks it.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Os`].
    pub fn make(&self) -> Result<Lock> {
        let act = || format!("make the state directory {}", self.directory.display());
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        match builder.create(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(self.id.clone()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let root = self.directory.parent().unwrap_or(Path::new("/"));
                DirBuilder::new().recursive(true).mode(0o711).create(root).act(act)?;
                builder.create(&self.directory).act(act)?;
            }
            other => other.act(act)?,
        }
        self.lock()
    }

    /// Waits for the right to change the container.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Os`].
    pub fn lock(&self) -> Result<Lock> {
        self.lock_as(FlockArg::LockExclusive)
    }

    /// As [`Container::lock`], without waiting: `None` while another verb has it.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Os`].
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        match self.lock_as(FlockArg::LockExclusiveNonblock) {
            Err(Error::Os { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    fn lock_as(&self, how: FlockArg) -> Result<Lock> {
        let act = || format!("lock the state directory {}", self.directory.display());
        let directory = match File::open(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing(self.id.clone()));
            }
            other => other.act(act)?,
        };
        Flock::lock(directory, how).map_err(|(_, errno)| errno).act(act)
    }

    /// Reads the state.
    ///
    /// # Errors
    /// [`Error::Missing`]: no such container, or its `create` has not come to a process yet.
    pub fn state(&self) -> Result<State> {
        State::read(&self.directory)?.ok_or_else(|| Error::Missing(self.id.clone()))
    }

    /// The status of the container whose state is `state`.
    pub fn status(&self, state: &State) -> Status {
        if !is_alive(state.pid, state.start_ticks) {
            return Status::Stopped;
        }
        if freezer::is_frozen(&state.cgroup) {
            return Status::Paused;
        }
        if self.directory.join(GATE).exists() {
            return Status::Created;
        }
        if self.directory.join(SETUP_GATE).exists() { Status::Creating } else { Status::Running }
    }

    /// Makes the place for the root of a container without a mount namespace.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn make_shared_root(&self) -> Result<PathBuf> {
        let path = self.directory.join(SHARED_ROOT);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.act(|| format!("make {}", path.display()))?;
        Ok(path)
    }

    /// Notes that `path` in the control groups is about to be made.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn note_groups(&self, path: &Path) -> Result<()> {
        symlink(path, self.directory.join(GROUPS))
            .act(|| format!("note the control groups in {}", self.directory.display()))
    }

    /// The path that was noted, if any.
    pub fn noted_groups(&self) -> Option<PathBuf> {
        fs::read_link(self.directory.join(GROUPS)).ok()
    }

    /// Removes the directory and all in it.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn remove(&self) -> Result<()> {
        // First, and alone: what is still mounted there would be removed with the directory.
        pivot::take_down(&self.directory.join(SHARED_ROOT))?;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).act(|| format!("remove {}", self.directory.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether process `pid` exists, is no zombie and is the one that started at `start_ticks`.
pub fn is_alive(pid: i32, start_ticks: u64) -> bool {
    read_stat(pid).is_some_and(|(state, ticks)| !matches!(state, 'Z' | 'X') && ticks == start_ticks)
}

/// When process `pid` started, in clock ticks since boot.
///
/// # Errors
/// [`Error::Os`]: there is no such process.
pub fn start_ticks(pid: i32) -> Result<u64> {
    let found = read_stat(pid).map(|(_, ticks)| ticks);
    found.ok_or(io::ErrorKind::NotFound).act(|| format!("read /proc/{pid}/stat"))
}

fn read_stat(pid: i32) -> Option<(char, u64)> {
    // One read: the line has at most some 52 numbers.
    let mut line = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
    parse_stat(&String::from_utf8_lossy(&line[..length]))
}

/// State and start time. The name in parentheses may hold anything, so count from its end.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (id, proper) in [
            ("a-B_9.+", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("ä", false),
            ("a b", false),
        ] {
            assert_eq!(Container::new(Path::new("/r"), id).is_ok(), proper, "{id:?}");
        }
    }

    #[test]
    fn a_name_cannot_forge_the_stat_line() {
        let line = "7 (a) Z 1 (b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(parse_stat(line), Some(('S', 12345)));
    }

    #[test]
    fn a_process_is_told_from_its_successor() {
        let pid = std::process::id() as i32;
        let ticks = start_ticks(pid).unwrap();
        assert!(is_alive(pid, ticks));
        assert!(!is_alive(pid, ticks + 1));
        assert!(!is_alive(0, ticks));
    }

    #[test]
    fn a_directory_belongs_to_one_container() {
        let root = tempfile::tempdir().unwrap();
        let container = Container::new(&root.path().join("new"), "a").unwrap();
        assert!(matches!(container.lock(), Err(Error::Missing(_))));
        let lock = container.make().unwrap();
        assert!(matches!(container.make(), Err(Error::Exists(_))));
        assert!(container.try_lock().unwrap().is_none());
        drop(lock);
        assert!(container.try_lock().unwrap().is_some());
        container.remove().unwrap();
        container.remove().unwrap();
    }
}
