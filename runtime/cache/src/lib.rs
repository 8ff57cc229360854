//! Compiled Wasm modules of this node, found by what they were compiled from.
//!
//! ```text
//! compiled/                       0700, of root or of the user
//!   x86-64-v3-16c1…/              level of processors, fingerprint of the compiler
//!     4ca2…                       native code of the module with this SHA-256
//!     4ca2….json                  what is known of it; without this file it is not there
//!     4ca2….checked               when its digest was last compared
//!     4ca2….refused               instead of all that: why it is not compiled
//!     4ca2….failed                why the compiler ended without a word on the module, for an hour
//!     4ca2….lock                  held by whoever compiles it
//!     background.lock             held by whoever compiles something that nobody waits for
//! ```
//!
//! Native code is trusted by whoever maps it. So nothing comes in here but from `wamr-compile`, for
//! a module that was read by this node; and a file that is not as it was written, or that somebody
//! else owns or may write, is removed instead of used.

mod check;
mod cpu;
mod digest;
mod evict;
mod fill;
mod list;
mod record;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

pub use cpu::Level;
pub use digest::Digest;
pub use evict::Pruned;
pub use fill::{Compiler, Failure, Urgency};
pub use list::Listed;
pub use record::Record;

/// Names another directory.
pub const DIRECTORY_VARIABLE: &str = "WAMR_CRUN_COMPILED";

/// The compiled modules that this runtime, this compiler and these processors can use.
#[derive(Debug, Clone)]
pub struct Cache {
    /// `compiled/`.
    top: PathBuf,
    /// The directory in it.
    directory: PathBuf,
    level: Level,
}

/// What the cache knows of a module.
#[derive(Debug)]
pub enum Found {
    /// It is compiled: the file, and what is known of it.
    Compiled(PathBuf, Record),
    /// It cannot be compiled, for this reason.
    Refused(String),
    /// Nothing.
    Missing,
}

/// Where the cache of this user is.
pub fn default_directory(is_root: bool) -> PathBuf {
    if let Some(named) = std::env::var_os(DIRECTORY_VARIABLE).filter(|path| !path.is_empty()) {
        return named.into();
    }
    if is_root {
        return "/var/lib/wamr-crun/compiled".into();
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("wamr-crun/compiled")
}

impl Cache {
    /// The cache in `top`, which need not exist.
    pub fn new(top: impl Into<PathBuf>) -> Self {
        let (top, level) = (top.into(), Level::of_this_machine());
        let directory = top.join(format!("{}-{}", level.as_str(), level.fingerprint()));
        Self { top, directory, level }
    }

    /// `compiled/`.
    pub fn top(&self) -> &Path {
        &self.top
    }

    fn file(&self, digest: &Digest, suffix: &str) -> PathBuf {
        self.directory.join(format!("{digest}{suffix}"))
    }

    /// What is known of the module with `digest`. A damaged entry is removed and counts as missing.
    ///
    /// # Errors
    /// The cache cannot be read, or others may write it.
    pub fn look_up(&self, digest: &Digest) -> io::Result<Found> {
        if !self.exists()? {
            return Ok(Found::Missing);
        }
        let Some(record) = record::read(&self.file(digest, ".json"))? else {
            return Ok(match record::read_text(&self.file(digest, ".refused"))? {
                Some(reason) => Found::Refused(reason),
                None => Found::Missing,
            });
        };
        if check::is_sound(self, digest, &record)? {
            evict::note_use(&self.file(digest, ".json"));
            return Ok(Found::Compiled(self.file(digest, ""), record));
        }
        self.remove(digest)?;
        Ok(Found::Missing)
    }

    /// Removes what is known of a module.
    ///
    /// # Errors
    /// Those of unlink(2), but for files that are not there.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        // The record first: without it there is no entry.
        for suffix in [".json", "", ".checked", ".refused", ".failed"] {
            match fs::remove_file(self.file(digest, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the directories are there, and this user's alone.
    fn exists(&self) -> io::Result<bool> {
        for directory in [&self.top, &self.directory] {
            match fs::symlink_metadata(directory) {
                Ok(found) => check_owner(directory, &found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether an entry could be written: its directory, or the nearest one above that is there. It
    /// costs less than to try.
    ///
    /// # Errors
    /// Those of access(2).
    pub fn may_be_filled(&self) -> io::Result<()> {
        let mut there = self.directory.ancestors().filter(|path| path.exists());
        let place = there.next().unwrap_or(Path::new("/"));
        Ok(nix::unistd::access(place, nix::unistd::AccessFlags::W_OK)?)
    }

    fn make(&self) -> io::Result<()> {
        for directory in [&self.top, &self.directory] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        self.exists().map(drop)
    }
}

/// A directory that somebody else owns or may write could hold anything.
fn check_owner(directory: &Path, found: &fs::Metadata) -> io::Result<()> {
    let own = own_uid();
    if found.is_dir() && is_own(found) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} must be a directory of user {own} that nobody else may write (it is of user {}, mode \
         {:o}): native code is run from it",
        directory.display(),
        found.uid(),
        found.mode() & 0o7777
    )))
}

/// Whether a file or directory is this user's, and nobody else may write it.
pub fn is_own(found: &fs::Metadata) -> bool {
    found.uid() == own_uid() && found.mode() & 0o022 == 0
}

fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Opens a file of the cache; nothing if it is not there.
fn open(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
