//! Puts a further process into a running container: the runtime's side of `exec`.

use super::channel::{self, Channel, FromInit, ToInit};
use super::joined::Joined;
use super::setup::{Identity, Invocation};
use super::spawn::{Spawned, enter_pid_namespace, open_group};
use crate::capabilities;
use crate::cgroup::Cgroup;
use crate::console::Console;
use crate::container::{self, Status};
use crate::error::{Act, Error, Result, chain};
use crate::fds::Inherited;
use crate::log::Log;
use crate::namespaces::{self, NEW_MOUNT, NEW_PID, NEW_USER, Opened};
use crate::scheduling::{self, ExecAffinity};
use crate::seccomp;
use crate::state_file::State;
use crate::sys::process::{self, Cloned};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What is to run, where, and as whom.
#[derive(Debug)]
pub struct Entry {
    /// The container's name.
    pub id: String,
    /// Who the process is.
    pub identity: Identity,
    /// Where it may run.
    pub affinity: ExecAffinity,
    /// What is run.
    pub program: Invocation,
    /// The namespaces of the container that are not the runtime's.
    pub namespaces: u64,
    /// The container has a session keyring.
    pub keyring: bool,
    /// Inherited descriptors.
    pub inherited: Inherited,
    /// What is left out of the process's wishes, a sentence each.
    pub notes: Vec<String>,
}

/// The container that is joined.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its state.
    pub state: &'a State,
    /// Its first process.
    pub pidfd: &'a OwnedFd,
    /// A group below them, relative.
    pub sub_group: Option<&'a Path>,
}

/// Makes the process; it waits, ready for its exec, until [`go`] or its channel is dropped.
///
/// # Errors
/// [`Error::Init`] with the text of a step that failed; [`Error::Os`].
pub fn join(
    entry: &Entry,
    target: &Target,
    console: Option<&Console>,
    log: &Log,
) -> Result<Spawned> {
    if entry.namespaces & NEW_MOUNT == 0 {
        // Every container of ours has one: this is none, whatever the state says.
        let text = format!("process {} is in the runtime's own mount namespace", target.state.pid);
        return Err(Error::Init(text));
    }
    let console = console.map(Console::connect).transpose()?;
    let spawned = spawn(entry, target, console)?;
    loop {
        match spawned.channel.hear() {
            Ok(Some(FromInit::Ready)) => return Ok(spawned),
            Ok(Some(FromInit::Failed(text))) => return Err(reap(&spawned, Error::Init(text))),
            Ok(Some(FromInit::Warning(text))) => log.warning(&text),
            Ok(Some(FromInit::Listener)) => {
                if let Err(error) = tell_agent(entry, target, &spawned) {
                    drop(spawned.channel);
                    return Err(error);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                let status = waitpid(Pid::from_raw(spawned.pid), None);
                return Err(Error::Init(format!(
                    "ended before its exec: {status:?}; SIGKILL may mean that the container has \
                     no memory left, SIGSYS that linux.seccomp forbids a call of the setup"
                )));
            }
            Err(error) => return Err(reap(&spawned, error)),
        }
    }
}

fn tell_agent(entry: &Entry, target: &Target, spawned: &Spawned) -> Result<()> {
    let listener = spawned.channel.take_over()?;
    let program = entry.identity.seccomp.as_ref();
    let Some(agent) = program.and_then(|program| program.agent.as_ref()) else { return Ok(()) };
    let report = container::report(target.state, Status::Running);
    seccomp::tell_agent(agent, &listener, spawned.pid, report)
}

/// Lets the process go on to its exec; returns when it has happened.
///
/// # Errors
/// [`Error::Init`]: the exec failed.
pub fn go(spawned: &Spawned) -> Result<()> {
    spawned.channel.answer(&ToInit::Continue(String::new()))?;
    match spawned.channel.hear()? {
        Some(FromInit::Failed(text)) => Err(reap(spawned, Error::Init(text))),
        // The channel is closed by the exec.
        _ => Ok(()),
    }
}

/// Waits for a process that is ending by itself and returns `error`.
fn reap(spawned: &Spawned, error: Error) -> Error {
    // Its status says nothing that the error does not.
    waitpid(Pid::from_raw(spawned.pid), None).ok();
    error
}

fn spawn(entry: &Entry, target: &Target, console: Option<OwnedFd>) -> Result<Spawned> {
    let (ours, theirs) = channel::pair()?;
    // Handed on to the child, which may be born in a group with other CPUs.
    entry.affinity.initial.as_ref().map_or(Ok(()), |cpus| scheduling::set_affinity(0, cpus))?;
    let (group, entrances) = doors(target)?;
    if entry.namespaces & NEW_USER != 0 && !capabilities::may_administrate()? {
        let parts = Joined {
            entry,
            pidfd: target.pidfd,
            channel: theirs,
            entrances,
            console,
            joined: NEW_USER | NEW_PID,
        };
        return through_user_namespace(parts, ours, group.as_ref());
    }
    // As for the first process: joined for the clone only, so that the runtime stays outside.
    let own = if entry.namespaces & NEW_PID == 0 {
        None
    } else {
        let file = target.pidfd.try_clone().act(|| "duplicate a pidfd".to_owned())?;
        Some(enter_pid_namespace(&Opened { flag: NEW_PID, file })?)
    };
    let mut cloned = process::clone3(0, group.as_ref().map(AsFd::as_fd));
    if let Err(error) = &cloned
        && error.raw_os_error() == Some(Errno::EBUSY as i32)
        && target.sub_group.is_none()
    {
        // The container divided its group: the group itself takes no processes any more.
        let group = open_group(&group_of(target.state.pid)?)?;
        cloned = process::clone3(0, Some(group.as_fd()));
    }
    if let Ok(Cloned::Child) = cloned {
        drop(ours);
        let pidfd = target.pidfd;
        let joined = NEW_PID;
        Joined { entry, pidfd, channel: theirs, entrances, console, joined }.run()
    }
    if let Some(own) = &own {
        namespaces::join(own)?;
    }
    let act = || "clone3: make a process in the container (ENOMEM: its first one has ended)".into();
    match cloned.act(act)? {
        Cloned::Parent(pid) => Ok(Spawned { pid, channel: ours }),
        Cloned::Child => Err(Error::Init("the child left its steps".to_owned())),
    }
}

/// For an ordinary user, who may join a PID namespace only from inside its user namespace. The
/// runtime must stay outside: a stage joins both, and makes the process as the runtime's child.
fn through_user_namespace(parts: Joined, ours: Channel, group: Option<&File>) -> Result<Spawned> {
    let stage = match process::clone3(0, group.map(AsFd::as_fd))
        .act(|| "clone3: make the stage".to_owned())?
    {
        Cloned::Parent(pid) => pid,
        Cloned::Child => {
            drop(ours);
            run_stage(parts)
        }
    };
    drop(parts);
    let heard = ours.hear();
    waitpid(Pid::from_raw(stage), None).act(|| "wait for the stage".to_owned())?;
    match heard? {
        Some(FromInit::Cloned(pid)) => Ok(Spawned { pid, channel: ours }),
        Some(FromInit::Failed(text)) => Err(Error::Init(text)),
        _ => Err(Error::Init("the stage died before it made the process".to_owned())),
    }
}

fn run_stage(parts: Joined) -> ! {
    let pidfd = parts.pidfd.as_fd();
    let cloned = namespaces::join_those_of(pidfd, NEW_USER)
        .and_then(|()| namespaces::join_those_of(pidfd, parts.entry.namespaces & NEW_PID))
        .and_then(|()| {
            process::clone3(libc::CLONE_PARENT as u64, None)
                .act(|| "clone3: make a process in the container".to_owned())
        });
    let message = match cloned {
        Ok(Cloned::Child) => parts.run(),
        Ok(Cloned::Parent(pid)) => FromInit::Cloned(pid),
        Err(error) => FromInit::Failed(chain(&error)),
    };
    // A runtime that is gone needs no answer; the process notices it by itself.
    drop(parts.channel.tell(&message));
    process::exit_now(0)
}

/// The v2 group that the process is born in, and the files by which it enters those of v1.
fn doors(target: &Target) -> Result<(Option<File>, Vec<File>)> {
    let below = |directory: &Path| match target.sub_group {
        Some(path) => directory.join(path),
        None => directory.to_owned(),
    };
    match &target.state.cgroup {
        Cgroup::V2(group) => Ok((Some(open_group(&below(&group.directory))?), Vec::new())),
        Cgroup::V1(group) if target.sub_group.is_none() => Ok((None, group.entrances(true)?)),
        Cgroup::V1(group) => {
            let mut group = group.clone();
            group.hierarchies.iter_mut().filter(|place| place.own).for_each(|place| {
                place.path = below(&place.path);
            });
            Ok((None, group.entrances(true)?))
        }
    }
}

/// The v2 group of the process `pid`.
fn group_of(pid: i32) -> Result<PathBuf> {
    let path = format!("/proc/{pid}/cgroup");
    let text = std::fs::read_to_string(&path).act(|| format!("read {path}"))?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.unwrap_or_default().trim_start_matches('/');
    Ok(Path::new(crate::cgroup::MOUNT).join(own))
}
