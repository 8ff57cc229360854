//! Which process serves which pod: directories below /run/wamr-shim.
//!
//! ```text
//! /run/wamr-shim/<containerd's socket>/<namespace>/lock
//! /run/wamr-shim/<containerd's socket>/<namespace>/containers    state of the OCI runtime
//! /run/wamr-shim/<containerd's socket>/<namespace>/<shard>/socket     or a link to it
//! /run/wamr-shim/<containerd's socket>/<namespace>/<shard>/groups/<pod or lone container>
//! /run/wamr-shim/<containerd's socket>/<namespace>/lost/<pod or lone container>
//! ```
//!
//! A group is entered by `start` before containerd is told of the shard's socket, and removed with
//! its task. Who enters a group or ends a process holds the lock.

use crate::api::rpc::Request;
use crate::api::shim;
use crate::error::{Result, Tried};
use crate::sys;
use crate::ttrpc::frame;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};
use prost::Message;
use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pods that one process serves. Its end is theirs, and its own memory is divided by them.
const CAPACITY: usize = 128;

/// Shards are tried from 0; a node of 500 pods has four.
const SHARDS: usize = 1024;

/// Where all shims of the machine have their files.
const ROOT: &str = "/run/wamr-shim";

/// How long a process may take for an answer. It needs less than a millisecond; containerd gives
/// `delete`, which waits for the same lock, five seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that hangs is not asked again by every `start`: they wait for each other.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What a shard's process is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Answers,
    /// It is there, and does not answer.
    Hangs,
    /// There is none.
    Gone,
}

/// Where a new pod can go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A shard that answers and has room.
    pub shard: Option<Shard>,
    /// Those that do not answer.
    pub hanging: Vec<Shard>,
}

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

    /// A shard that answers and has room.
    pub fn shard_with_room(&self) -> Found {
        let mut found = Found::default();
        for shard in self.shards().filter(|shard| shard.groups() < CAPACITY) {
            match shard.health() {
                Health::Answers => {
                    found.shard = Some(shard);
                    break;
                }
                Health::Hangs => found.hanging.push(shard),
                Health::Gone => {}
            }
        }
        found
    }

    /// A place for a further shard.
    ///
    /// # Errors
    /// Its directory cannot be made.
    pub fn new_shard(&self) -> Result<Shard> {
        for number in 0..SHARDS {
            let shard = Shard(self.0.join(number.to_string()));
            if shard.health() != Health::Gone {
                continue;
            }
            // What a process has left that was killed.
            shard.bury();
            let groups = shard.0.join("groups");
            fs::create_dir_all(&groups).tried("make the directory", &groups)?;
            return Ok(shard);
        }
        Err(io::Error::from(ErrorKind::QuotaExceeded)).tried("find room for a shard in", &self.0)
    }

    /// Those of all containerds of this machine, and all of their namespaces.
    pub fn all() -> impl Iterator<Item = Self> {
        let below = |directory: PathBuf| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        };
        below(ROOT.into()).flat_map(below).map(Self)
    }

    /// Whether the group's process was killed. What has to be cleaned up after it then is more than
    /// the group's first container.
    pub fn is_lost(&self, group: &str) -> bool {
        // In this order: another process may come meanwhile, which moves it from the one place to
        // the other before it answers.
        let shard = self.shard_of(group);
        shard.is_some_and(|shard| shard.health() == Health::Gone) || self.lost(group).exists()
    }

    /// The group was cleaned up after.
    pub fn forget_lost(&self, group: &str) {
        if fs::remove_file(self.lost(group)).is_ok() {
            drop(fs::remove_dir(self.0.join("lost")));
        }
    }

    fn lost(&self, group: &str) -> PathBuf {
        self.0.join("lost").join(group)
    }

    /// Those that there are, in their order.
    pub fn shards(&self) -> impl Iterator<Item = Shard> {
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

    /// Makes its socket: in `directory` if there is one, with a link here.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn listen(&self, directory: Option<&Path>) -> Result<UnixListener> {
        let Some(directory) = directory else {
            let socket = self.socket();
            return UnixListener::bind(&socket).tried("listen on", &socket);
        };
        let made = DirBuilder::new().recursive(true).mode(0o711).create(directory);
        made.tried("make the directory", directory)?;
        let mut name = DefaultHasher::new();
        self.0.hash(&mut name);
        let path = directory.join(format!("wamr-crun-{:016x}", name.finish()));
        // Of a process that was killed: this shard has none.
        drop(fs::remove_file(&path));
        // Others may look into that directory. Who can open a socket commands the shim.
        let mask = umask(Mode::from_bits_truncate(0o077));
        let listener = UnixListener::bind(&path).tried("listen on", &path);
        umask(mask);
        let listener = listener?;
        symlink(&path, self.socket()).tried("name a socket in", &self.0)?;
        Ok(listener)
    }

    /// The path of its socket, for others.
    pub fn address(&self) -> PathBuf {
        fs::read_link(self.socket()).unwrap_or_else(|_| self.socket())
    }

    /// Asks its process something, unless it was found hanging a moment ago.
    pub fn health(&self) -> Health {
        let stream = match sys::connect_at_once(&self.socket()) {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Health::Gone,
                _ => return self.hangs(),
            },
        };
        let marked = fs::metadata(self.hang_file()).and_then(|data| data.modified()).ok();
        let age = marked.and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age < ASK_AGAIN) {
            return Health::Hangs;
        }
        match ask(stream) {
            Ok(0) => Health::Gone,
            Ok(_) => {
                drop(fs::remove_file(self.hang_file()));
                Health::Answers
            }
            Err(_) => self.hangs(),
        }
    }

    fn hangs(&self) -> Health {
        drop(File::create(self.hang_file()));
        Health::Hangs
    }

    fn hang_file(&self) -> PathBuf {
        self.0.join("hangs")
    }

    /// Notes its process, for people.
    pub fn note_process(&self, pid: u32) {
        drop(fs::write(self.0.join("pid"), pid.to_string()));
    }

    /// What is to be said of it when it hangs.
    pub fn complaint(&self) -> String {
        let pid = fs::read_to_string(self.0.join("pid")).unwrap_or_else(|_| "unknown".to_owned());
        format!(
            "has not answered within {} seconds (process {pid}); its containers run on. If it \
             does not come back, kill it: Kubernetes then starts its pods anew",
            PATIENCE.as_secs()
        )
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

    /// Its directory goes, for its process was killed; its groups stay known to be lost.
    fn bury(&self) {
        let lost = self.home().0.join("lost");
        for entry in fs::read_dir(self.0.join("groups")).into_iter().flatten().flatten() {
            drop(fs::create_dir_all(&lost));
            drop(fs::rename(entry.path(), lost.join(entry.file_name())));
        }
        self.remove();
    }

    /// Its directory goes.
    pub fn remove(&self) {
        if let Ok(socket) = fs::read_link(self.socket()) {
            drop(fs::remove_file(socket));
        }
        drop(fs::remove_dir_all(&self.0));
    }

    fn group(&self, name: &str) -> PathBuf {
        self.0.join("groups").join(name)
    }
}

/// Any answer is one: that it does not know the service comes from the loop that serves all pods.
fn ask(mut stream: UnixStream) -> io::Result<usize> {
    let service = shim::SERVICE.to_owned();
    let question = Request { service, method: "Ask".to_owned(), ..Request::default() };
    let mut bytes = Vec::new();
    frame::put(&mut bytes, 1, frame::REQUEST, &question.encode_to_vec());
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&bytes)?;
    stream.read(&mut [0])
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
    use std::os::unix::fs::PermissionsExt;
    use std::thread::{JoinHandle, spawn};

    /// Stands for a shard's process: it answers what it is asked.
    struct Process {
        address: PathBuf,
        thread: Option<JoinHandle<()>>,
    }

    impl Process {
        fn serving(shard: &Shard, directory: Option<&Path>) -> Self {
            let listener = shard.listen(directory).unwrap();
            let serve = move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    // Nobody asks any more.
                    let Ok(1..) = stream.read(&mut [0; 100]) else { return };
                    stream.write_all(b"an answer").unwrap();
                }
            };
            Self { address: shard.address(), thread: Some(spawn(serve)) }
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            drop(UnixStream::connect(&self.address));
            self.thread.take().unwrap().join().unwrap();
        }
    }

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
        let process = Process::serving(&first, None);
        first.enter("pod").unwrap();
        assert_eq!(home.shard_of("pod"), Some(first.clone()));
        assert_eq!(home.shard_with_room().shard, Some(first.clone()));
        for number in 1..CAPACITY {
            first.enter(&number.to_string()).unwrap();
        }
        assert_eq!(home.shard_with_room(), Found::default(), "it is full");
        let second = home.new_shard().unwrap();
        assert_ne!(first, second);
        first.leave("pod");
        first.leave("pod");
        assert_eq!(home.shard_with_room().shard, Some(first.clone()));
        drop(process);
        assert_eq!(home.shard_with_room(), Found::default(), "its process is gone");
        assert!(home.is_lost("1") && !home.is_lost("never"));
        let again = home.new_shard().unwrap();
        assert_eq!((again.groups(), again), (0, first));
        assert!(home.is_lost("1"), "nobody has cleaned up after it");
        home.forget_lost("1");
        assert!(!home.is_lost("1") && home.is_lost("2"));
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
    fn one_that_hangs_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().join("home"));
        let sockets = dir.path().join("sockets");
        let first = home.new_shard().unwrap();
        let listener = first.listen(Some(&sockets)).unwrap();
        first.note_process(77);
        assert!(first.address().starts_with(&sockets));
        let mode = fs::metadata(first.address()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "its owner's alone");
        let found = home.shard_with_room();
        assert_eq!((found.shard, &found.hanging[..]), (None, &[first.clone()][..]));
        assert!(first.complaint().contains("process 77"), "{}", first.complaint());
        assert_ne!(home.new_shard().unwrap(), first, "its place is not taken");
        // Those who come now do not wait, nor when its queue is full.
        let full: Vec<_> =
            (0..10_000).map_while(|_| sys::connect_at_once(&first.socket()).ok()).collect();
        assert_eq!(first.health(), Health::Hangs);
        drop((full, listener));
        assert_eq!(first.health(), Health::Gone);
        let address = first.address();
        first.remove();
        assert!(!address.exists() && !first.directory().exists());
        let back = Process::serving(&home.new_shard().unwrap(), Some(&sockets));
        assert_eq!(home.shard_with_room().shard, Some(first), "a new one in its place");
        drop(back);
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
