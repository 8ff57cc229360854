//! Which process serves which pod: directories below /run/wamr-shim.
//!
//! ```text
//! /run/wamr-shim/<containerd's socket>/<namespace>/lock
//! /run/wamr-shim/<containerd's socket>/<namespace>/containers    state of the OCI runtime
//! /run/wamr-shim/<containerd's socket>/<namespace>/<shard>/socket
//! /run/wamr-shim/<containerd's socket>/<namespace>/<shard>/groups/<pod or lone container>
//! ```
//!
//! A group is entered by `start` before containerd is told of the shard's socket, and removed with
//! its task. Who enters a group or ends a process holds the lock.

use crate::error::{Result, Tried};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pods that one process serves. Its end is theirs, and its own memory is divided by them.
const CAPACITY: usize = 128;

/// Shards are tried from 0; a node of 500 pods has four.
const SHARDS: usize = 1024;

/// Where all shims of the machine have their files.
const ROOT: &str = "/run/wamr-shim";

/// The shards of one containerd and one of its namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// # Errors
    /// There is no such directory and it cannot be made.
    pub fn open(address: &str, namespace: &str) -> Result<Self> {
        let root = Path::new(ROOT);
        // Who could open the lock could keep it, and who could open a socket commands the shim.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
        made.tried("make the directory", root)?;
        let home = Self(root.join(file_name(address)).join(namespace));
        fs::create_dir_all(&home.0).tried("make the directory", &home.0)?;
        Ok(home)
    }

    /// Where the runtime keeps the state of the containers of all shards.
    pub fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    /// Nobody else enters or removes groups, or ends a shard, while it is held.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn lock(&self) -> Result<Flock<File>> {
        let path = self.lock_file();
        let file = File::create(&path).tried("make", &path)?;
        let locked = Flock::lock(file, FlockArg::LockExclusive);
        locked.map_err(|(_, errno)| errno).tried("lock", &path)
    }

    /// The same, if nobody has it.
    pub fn try_lock(&self) -> Option<Flock<File>> {
        let file = File::create(self.lock_file()).ok()?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The shard that serves the group, whether or not its process is still there.
    pub fn shard_of(&self, group: &str) -> Option<Shard> {
        self.shards().find(|shard| shard.group(group).exists())
    }

    /// A shard that is there and has room.
    pub fn shard_with_room(&self) -> Option<Shard> {
        self.shards().find(|shard| shard.groups() < CAPACITY && shard.answers())
    }

    /// A place for a further shard.
    ///
    /// # Errors
    /// Its directory cannot be made.
    pub fn new_shard(&self) -> Result<Shard> {
        for number in 0..SHARDS {
            let shard = Shard(self.0.join(number.to_string()));
            if shard.answers() {
                continue;
            }
            // What a process has left that was killed; its tasks are gone for containerd, too.
            shard.remove();
            let groups = shard.0.join("groups");
            fs::create_dir_all(&groups).tried("make the directory", &groups)?;
            return Ok(shard);
        }
        Err(io::Error::from(ErrorKind::QuotaExceeded)).tried("find room for a shard in", &self.0)
    }

    fn shards(&self) -> impl Iterator<Item = Shard> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let numbered = |name: &std::ffi::OsStr| name.to_str()?.parse::<usize>().ok();
        let mut numbers: Vec<usize> =
            entries.filter_map(|entry| numbered(&entry.file_name())).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| Shard(self.0.join(number.to_string())))
    }
}

/// The directory of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard(PathBuf);

impl Shard {
    /// The one in that directory.
    pub fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The socket on which it answers.
    pub fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// What it complains of.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// True if a process accepts connections there.
    pub fn answers(&self) -> bool {
        UnixStream::connect(self.socket()).is_ok()
    }

    /// Notes that it serves the group.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn enter(&self, group: &str) -> Result<()> {
        let path = self.group(group);
        File::create(&path).tried("make", &path).map(drop)
    }

    /// The group is gone. That it was is no error.
    pub fn leave(&self, group: &str) {
        drop(fs::remove_file(self.group(group)));
    }

    /// The shards of the same containerd and namespace.
    pub fn home(&self) -> Home {
        Home(self.0.parent().unwrap_or(&self.0).to_owned())
    }

    /// Removes groups that were entered so long ago that their task will not be made any more:
    /// containerd has died in between.
    pub fn leave_stale(&self, age: Duration) {
        for entry in fs::read_dir(self.0.join("groups")).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|data| data.modified()).ok();
            let elapsed = modified.and_then(|time| time.elapsed().ok());
            if elapsed.is_some_and(|elapsed| elapsed > age) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    /// Groups that it serves, among them those whose task is still to be made.
    pub fn groups(&self) -> usize {
        fs::read_dir(self.0.join("groups")).map_or(0, Iterator::count)
    }

    /// Its directory goes.
    pub fn remove(&self) {
        drop(fs::remove_dir_all(&self.0));
    }

    fn group(&self, name: &str) -> PathBuf {
        self.0.join("groups").join(name)
    }
}

/// `/run/containerd/containerd.sock` as the name of a directory, which no other address has.
fn file_name(address: &str) -> String {
    let plain = address.strip_prefix("unix://").unwrap_or(address).trim_matches('/');
    match plain.replace('-', "--").replace('/', "-").as_str() {
        "" | "." | ".." => "containerd".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn addresses_are_names_of_directories() {
        for (address, want) in [
            ("/run/containerd/containerd.sock", "run-containerd-containerd.sock"),
            ("unix:///run/c.sock", "run-c.sock"),
            ("", "containerd"),
            ("/..", "containerd"),
            ("/run/a/b.sock", "run-a-b.sock"),
            ("/run/a-b.sock", "run-a--b.sock"),
        ] {
            assert_eq!(file_name(address), want, "{address}");
        }
    }

    #[test]
    fn groups_stay_with_their_shard_and_dead_shards_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().to_owned());
        let first = home.new_shard().unwrap();
        let socket = UnixListener::bind(first.socket()).unwrap();
        first.enter("pod").unwrap();
        assert_eq!(home.shard_of("pod"), Some(first.clone()));
        assert_eq!(home.shard_with_room(), Some(first.clone()));
        for number in 1..CAPACITY {
            first.enter(&number.to_string()).unwrap();
        }
        assert_eq!(home.shard_with_room(), None, "it is full");
        let second = home.new_shard().unwrap();
        assert_ne!(first, second);
        first.leave("pod");
        first.leave("pod");
        assert_eq!(home.shard_with_room(), Some(first.clone()));
        drop(socket);
        assert_eq!(home.shard_with_room(), None, "its process is gone");
        let again = home.new_shard().unwrap();
        assert_eq!((again.groups(), again), (0, first));
    }

    #[test]
    fn a_group_that_never_came_is_left_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let shard = Home(dir.path().to_owned()).new_shard().unwrap();
        shard.enter("given-up").unwrap();
        shard.leave_stale(Duration::from_mins(1));
        assert_eq!(shard.groups(), 1);
        shard.leave_stale(Duration::ZERO);
        assert_eq!(shard.groups(), 0);
    }

    #[test]
    fn a_held_lock_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().to_owned());
        let shard = home.new_shard().unwrap();
        let held = home.lock().unwrap();
        assert!(shard.home().try_lock().is_none());
        drop(held);
        assert!(shard.home().try_lock().is_some());
    }
}
