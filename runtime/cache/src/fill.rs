//! Compiling what is missing, one process for each module whoever asks.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::digest::Digest;
use crate::record::{self, Record};
use crate::{Cache, Found, evict};

/// The program `wamr-compile`.
#[derive(Debug, Clone)]
pub struct Compiler(pub PathBuf);

/// Whether somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A container or a person waits, no longer than this.
    Waiting(Duration),
    /// Nobody does: not for another process either that compiles the same module.
    Background,
}

/// Why a module was not compiled this time.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cache could not be written, or the compiler not started.
    #[error("{act}")]
    Os {
        /// What was tried, on what.
        act: String,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler ended without a word on the module.
    #[error("{program}: {reason}")]
    Compiler {
        /// The program.
        program: String,
        /// How it ended.
        reason: String,
    },
}

fn os(act: String) -> impl FnOnce(io::Error) -> Failure {
    |source| Failure::Os { act, source }
}

/// How long a failure keeps a module from being compiled for the next container.
const FAILURE_COUNTS: Duration = Duration::from_hours(1);

/// No compiler lives longer: its limit of processor time ends it sooner.
const LONGEST: Duration = Duration::from_hours(1);

/// An urgency from when it began.
#[derive(Clone, Copy)]
struct Terms {
    deadline: Option<Instant>,
    /// What the compiler is told: with nobody waiting it takes the lowest priority.
    word: &'static str,
}

impl Terms {
    fn of(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Waiting(most) => {
                Self { deadline: Some(Instant::now() + most), word: "waiting" }
            }
            Urgency::Background => Self { deadline: None, word: "background" },
        }
    }
}

/// What the compiler said of a module.
enum Verdict {
    Compiled,
    /// It never will be.
    Refused(String),
}

impl Cache {
    /// Compiles `module`, whose digest is `digest`, unless that was done; if somebody waits, waits
    /// for another process that does it. Where nobody does, it takes its turn: one module at a
    /// time, so that a node that begins with many has one compiler at work.
    ///
    /// `module` is closed before any of that takes long: it may be a file of a container, whose
    /// file system could not be taken away before.
    ///
    /// # Errors
    /// [`Failure`]: nothing of it is left in the cache but that it failed.
    pub fn fill(
        &self,
        module: File,
        digest: &Digest,
        compiler: &Compiler,
        urgency: Urgency,
    ) -> Result<Found, Failure> {
        let act = || format!("look up {digest} in {}", self.directory.display());
        self.make().map_err(os(format!("make {}", self.directory.display())))?;
        let terms = Terms::of(urgency);
        // The lock's file stays: two processes could hold the locks of two files of this name.
        let Some(_lock) = self.lock(digest, terms.deadline)? else { return Ok(Found::Missing) };
        let found = self.look_up(digest).map_err(os(act()))?;
        if !matches!(found, Found::Missing) {
            return Ok(found);
        }
        let copied = copy(&module, digest)?;
        drop(module);
        let _turn = if terms.deadline.is_none() { Some(self.turn()?) } else { None };
        let new = self.file(digest, ".new");
        let filled = self.compile(&copied, digest, compiler, &new, terms);
        // It is there after a failure only.
        fs::remove_file(&new).ok();
        let failed = self.file(digest, ".failed");
        // Best effort: without it the next container tries again.
        if let Err(failure @ Failure::Compiler { .. }) = &filled {
            record::write(&failed, &failure.to_string()).ok();
        }
        filled?;
        let found = self.look_up(digest).map_err(os(act()))?;
        if matches!(found, Found::Missing) {
            // It would be compiled for each container.
            record::write(&failed, "the cache may hold less than its native code").ok();
        } else {
            fs::remove_file(&failed).ok();
        }
        Ok(found)
    }

    /// Why compiling the module with `digest` failed, if that was less than an hour ago: a module
    /// that the compiler cannot finish would else occupy it at each start of a container.
    pub fn failed_lately(&self, digest: &Digest) -> Option<String> {
        let path = self.file(digest, ".failed");
        let since = fs::metadata(&path).ok()?.modified().ok()?.elapsed().ok()?;
        if since > FAILURE_COUNTS { None } else { record::read_text(&path).ok()? }
    }

    /// The right to compile a module for nobody who waits.
    fn turn(&self) -> Result<Flock<File>, Failure> {
        let path = self.directory.join("background.lock");
        let act = format!("lock {}", path.display());
        let file = record::create(&path).map_err(os(act.clone()))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| os(act)(error.into()))
    }

    /// Whether some process compiles the module with `digest` at this moment. Best effort: who
    /// compiles it once more than needed finds the lock.
    pub fn is_being_filled(&self, digest: &Digest) -> bool {
        let Ok(Some(file)) = crate::open(&self.file(digest, ".lock")) else { return false };
        Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
    }

    /// The right to compile a module; nothing if another process has it, and nobody waits.
    fn lock(
        &self,
        digest: &Digest,
        deadline: Option<Instant>,
    ) -> Result<Option<Flock<File>>, Failure> {
        let path = self.file(digest, ".lock");
        let act = format!("lock {}", path.display());
        let mut file = match record::create(&path) {
            Ok(file) => file,
            Err(error) => return Err(os(act)(error)),
        };
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Some(lock)),
                Err((back, Errno::EWOULDBLOCK)) => match deadline {
                    None => return Ok(None),
                    Some(deadline) if Instant::now() < deadline => {
                        file = back;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Some(_) => return Err(os(act)(Errno::EWOULDBLOCK.into())),
                },
                Err((_, error)) => return Err(os(act)(error.into())),
            }
        }
    }

    fn compile(
        &self,
        module: &File,
        digest: &Digest,
        compiler: &Compiler,
        new: &Path,
        terms: Terms,
    ) -> Result<(), Failure> {
        let begin = Instant::now();
        let artifact = record::create(new).map_err(os(format!("make {}", new.display())))?;
        match self.run(module, &artifact, compiler, terms)? {
            Verdict::Refused(reason) => {
                let path = self.file(digest, ".refused");
                record::write(&path, &reason).map_err(os(format!("write {}", path.display())))
            }
            Verdict::Compiled => {
                self.place(module, &artifact, digest, new, begin.elapsed())
                    .map_err(os(format!("put {} in its place", new.display())))?;
                evict::to_limit(self).map_err(os(format!("prune {}", self.top.display())))
            }
        }
    }

    /// The artifact gets its name when it is on the disk, then its record.
    fn place(
        &self,
        module: &File,
        artifact: &File,
        digest: &Digest,
        new: &Path,
        took: Duration,
    ) -> io::Result<()> {
        artifact.set_permissions(Permissions::from_mode(0o400))?;
        artifact.sync_all()?;
        let record = Record {
            artifact_sha256: Digest::of(artifact)?.to_string(),
            artifact_bytes: artifact.metadata()?.len(),
            module_bytes: module.metadata()?.len(),
            compile_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        fs::rename(new, self.file(digest, ""))?;
        let text = serde_json::to_string(&record).map_err(io::Error::other)?;
        record::write(&self.file(digest, ".json"), &text)
    }

    fn run(
        &self,
        module: &File,
        artifact: &File,
        compiler: &Compiler,
        terms: Terms,
    ) -> Result<Verdict, Failure> {
        let program = compiler.0.display().to_string();
        let start = || -> io::Result<Child> {
            // The compiler reads from the cursor, which it shares.
            (&*module).rewind()?;
            let inherited = [inheritable(module)?, inheritable(artifact)?];
            let [from, to] = inherited.each_ref().map(|file| file.as_raw_fd().to_string());
            Command::new(&compiler.0)
                .args([&from, &to, self.level.as_str(), self.level.fingerprint()])
                .arg(terms.word)
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        };
        let deadline = terms.deadline.unwrap_or_else(|| Instant::now() + LONGEST);
        let mut child = start().map_err(os(format!("start {program}")))?;
        let status = wait(&mut child, deadline).map_err(os(format!("wait for {program}")))?;
        let mut text = Vec::new();
        let Some(status) = status else {
            let reason = "it took longer than a container may wait".to_owned();
            return Err(Failure::Compiler { program, reason });
        };
        if let Some(stderr) = child.stderr.take() {
            let read = stderr.take(64 << 10).read_to_end(&mut text);
            read.map_err(os(format!("read what {program} says")))?;
        }
        match (status.code(), one_line(&text)) {
            (Some(0), _) => Ok(Verdict::Compiled),
            (Some(3), reason) => Ok(Verdict::Refused(reason)),
            (_, reason) => {
                let reason = format!("{status}: {reason}{}", hint(status));
                Err(Failure::Compiler { program, reason })
            }
        }
    }
}

/// What may have ended the compiler, where it could not say so itself.
fn hint(status: ExitStatus) -> &'static str {
    match status.signal() {
        Some(libc::SIGKILL) => {
            "the module may need more memory than the control group of the compiler has"
        }
        Some(libc::SIGXCPU) => "the module takes more processor time than the compiler may use",
        _ => "",
    }
}

/// A copy of `module` that nobody can change while it is compiled. The module may lie where a
/// container can write: what is compiled must be what was hashed, or one container could choose
/// what another one runs.
fn copy(module: &File, digest: &Digest) -> Result<File, Failure> {
    let copied = || -> io::Result<File> {
        let mut copy = File::from(memfd_create(c"module", MFdFlags::MFD_CLOEXEC)?);
        let (mut buffer, mut offset) = (vec![0; 256 << 10], 0);
        // Not from the cursor: the container's process has the same one, and may be reading.
        loop {
            match module.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(copy),
                Ok(count) => {
                    copy.write_all(&buffer[..count])?;
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let act = || "copy the module".to_owned();
    let copy = copied().map_err(os(act()))?;
    if Digest::of(&copy).map_err(os(act()))? != *digest {
        let source = io::Error::other("it was changed meanwhile");
        return Err(Failure::Os { act: act(), source });
    }
    Ok(copy)
}

/// What the compiler says of a module goes to logs and terminals, and a module has names: one line
/// without control characters, not too long.
fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(shown).take(1000).collect()
}

/// Waits for the end of `child`, but not past `deadline`: then it is killed.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same file for a child to inherit.
fn inheritable(file: &File) -> io::Result<OwnedFd> {
    let copy = file.try_clone()?;
    fcntl(&copy, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(copy.into())
}
