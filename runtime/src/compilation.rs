//! Has a module compiled by a process of its own, which goes on when this one is gone.
//!
//! It is this program once more (`cache fill`), in a session and control groups of its own, with
//! nothing of the caller's but the module: a container that is created while it works can be
//! deleted, and its engine stopped, as if there was no compiler. Who waits for it holds the other
//! end of a pipe, which tells at its end why there is no native code; without a word there is some.

use crate::cgroup::Driver;
use crate::error::{Act, Error, Result};
use crate::installed::{self, COMPILER};
use crate::log::{Format, Log};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wamr_cache::{Cache, Compiler, Digest, Failure, Found, Urgency};

/// A compilation that a container waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// It runs compiled or not at all.
    Needed,
    /// It would run interpreted as well, and what it asks for is small: nobody's processors are
    /// to be kept busy by modules that only look so.
    Quick,
}

impl Awaited {
    /// How long a container waits: where it has to, less than a kubelet waits for `create`.
    fn patience(self) -> Duration {
        match self {
            Self::Needed => Duration::from_secs(100),
            Self::Quick => Duration::from_secs(1),
        }
    }

    /// The most processor time of the compiler, where that is less than it has always.
    fn most_cpu(self) -> Option<Duration> {
        (self == Self::Quick).then_some(Duration::from_secs(5))
    }
}

/// How often a module that somebody else's process compiles is looked for.
const PAUSE: Duration = Duration::from_millis(5);
/// What it has to say is a line.
const MOST_SAID_BYTES: u64 = 16 << 10;

/// Compiles what is missing, in this process's time.
///
/// # Errors
/// [`Error::Workload`], [`Error::Os`]: nothing of it is in the cache.
pub fn fill(cache: &Cache, module: File, digest: &Digest, urgency: Urgency) -> Result<Found> {
    let compiler = Compiler(installed::find(COMPILER)?);
    let filled = cache.fill(module, digest, &compiler, urgency);
    filled.map_err(|failure| match failure {
        Failure::Os { act, source } => Error::Os { act, source },
        other @ Failure::Compiler { .. } => Error::Workload(format!("compile the module: {other}")),
    })
}

/// What the other process is told.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who makes its control groups.
    pub driver: Driver,
    /// Where it says what nobody waits for.
    pub log: &'a Log,
}

/// Has `module` compiled for the next container.
///
/// # Errors
/// [`Error::Workload`]: there is no compiler; [`Error::Os`].
pub fn for_the_next(module: &File, terms: Terms) -> Result<()> {
    start(module, terms, None)
}

/// Has `module` compiled and waits for that, but not too long; [`Found::Missing`]: it takes longer,
/// and goes on.
///
/// # Errors
/// [`Error::Workload`] with what the other process says; [`Error::Os`].
pub fn for_this_one(
    cache: &Cache,
    module: &File,
    digest: &Digest,
    awaited: Awaited,
    terms: Terms,
) -> Result<Found> {
    let deadline = Instant::now() + awaited.patience();
    let look_up = || {
        let found = cache.look_up(digest);
        found.act(|| format!("look {digest} up in {}", cache.top().display()))
    };
    // Of many containers of one module that come at once one has it compiled.
    while cache.is_being_filled(digest) {
        if Instant::now() >= deadline {
            return Ok(Found::Missing);
        }
        std::thread::sleep(PAUSE);
    }
    let found = look_up()?;
    if !matches!(found, Found::Missing) {
        return Ok(found);
    }
    let (reader, writer) = std::io::pipe().act(|| "make a pipe".to_owned())?;
    start(module, terms, Some((awaited, writer.into())))?;
    match said(reader, deadline)? {
        None => Ok(Found::Missing),
        Some(text) if !text.is_empty() => Err(Error::Workload(text)),
        Some(_) => match look_up()? {
            Found::Missing => {
                let text = "compile the module: the process that does it has ended without a word";
                Err(Error::Workload(text.to_owned()))
            }
            found => Ok(found),
        },
    }
}

fn start(
    module: &File,
    Terms { driver, log }: Terms,
    awaited: Option<(Awaited, Stdio)>,
) -> Result<()> {
    installed::find(COMPILER)?;
    let module = module.try_clone().act(|| "hand the module to the compiler".to_owned())?;
    // It finds the other programs as this one did: self_exe.rs leaves the place in the environment.
    let mut command = Command::new("/proc/self/exe");
    if let Some(file) = &log.file {
        let file = std::path::absolute(file).act(|| format!("log to {}", file.display()))?;
        let format = if log.format == Format::Json { "json" } else { "text" };
        command.arg("--log").arg(file).args(["--log-format", format]);
    }
    if let Some(name) = driver.to_possible_value() {
        command.args(["--cgroup-manager", name.get_name()]);
    }
    command.args(["cache", "fill"]);
    let mut said = Stdio::null();
    if let Some((awaited, writer)) = awaited {
        command.arg("--awaited");
        if let Some(most) = awaited.most_cpu() {
            command.args(["--most-cpu-seconds", &most.as_secs().to_string()]);
        }
        said = writer;
    }
    command.current_dir("/").stdin(module).stdout(said).stderr(Stdio::null());
    // It goes on in a child of its own, and ends at once.
    command.status().map(drop).act(|| "start the compilation".to_owned())
}

/// What comes through `pipe` until its other end is closed; nothing if that is not by `deadline`.
fn said(pipe: PipeReader, deadline: Instant) -> Result<Option<String>> {
    let act = || "wait for the compilation".to_owned();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(None),
            // It writes all that it has to say at once.
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).act(act),
        }
    }
    let mut text = String::new();
    pipe.take(MOST_SAID_BYTES).read_to_string(&mut text).act(act)?;
    Ok(Some(text))
}
