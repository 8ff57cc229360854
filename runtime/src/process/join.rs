//! Puts a further process into a running container: the runtime's side of `exec`.

use super::channel::{self, FromInit, ToInit};
use super::joined::Joined;
use super::setup::{Identity, Invocation};
use super::spawn::{self, Spawned, open_group};
use crate::cgroup::Cgroup;
use crate::cgroup::sub_groups::SubGroups;
use crate::compilation::Terms;
use crate::compiled::{self, Asked};
use crate::console::Console;
use crate::container::{self, Status};
use crate::error::{Act, Error, Result};
use crate::fds::Inherited;
use crate::intel_rdt;
use crate::log::Log;
use crate::namespaces::NEW_MOUNT;
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
    /// The groups of resctrl that the container's processes are in.
    pub intel_rdt: Option<intel_rdt::Class>,
    /// The container has a session keyring.
    pub keyring: bool,
    /// Inherited descriptors.
    pub inherited: Inherited,
    /// What is left out of the process's request, a sentence each.
    pub notes: Vec<String>,
}

/// The container that is joined.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its state.
    pub state: &'a State,
    /// Its first process.
    pub pidfd: &'a OwnedFd,
    /// Groups below its own.
    pub sub_groups: SubGroups,
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
        // A further process would see the host's files; or the process is not the container's.
        return Err(Error::Usage(format!(
            "exec in {}: process {} has no mount namespace of its own to join: list one of type \
             mount in linux.namespaces",
            target.state.id, target.state.pid
        )));
    }
    let console = console.map(Console::connect).transpose()?;
    let spawned = spawn(entry, target, console)?;
    loop {
        match spawned.channel.hear() {
            Ok(Some(FromInit::Ready)) => return Ok(spawned),
            Ok(Some(FromInit::Failed(text))) => return Err(reap(&spawned, Error::Init(text))),
            Ok(Some(FromInit::Note(text))) => log.note(&text),
            Ok(Some(FromInit::Module(native))) => {
                let (wasm, rlimits) = (&entry.program.wasm, &*entry.identity.rlimits);
                let terms = Terms { driver: target.state.cgroup_driver, log };
                let asked = Asked { wasm, rlimits, terms };
                if let Err(error) = compiled::answer(&spawned.channel, &native, asked) {
                    drop(spawned.channel);
                    return Err(error);
                }
            }
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
    let (group, entrances) = group_to_enter(target)?;
    let mut cloned = process::clone3(0, group.as_ref().map(AsFd::as_fd));
    if let Err(error) = &cloned
        && error.raw_os_error() == Some(Errno::EBUSY as i32)
        && target.sub_groups == SubGroups::default()
    {
        // The container divided its group: the group itself takes no processes any more.
        let group = open_group(&group_of(target.state.pid)?)?;
        cloned = process::clone3(0, Some(group.as_fd()));
    }
    let stage = match cloned.act(|| "clone3: make a process for the container".to_owned())? {
        Cloned::Parent(pid) => pid,
        Cloned::Child => {
            drop(ours);
            let pidfd = target.pidfd;
            Joined { entry, pidfd, channel: theirs, entrances, console }.run()
        }
    };
    drop(theirs);
    spawn::await_stage(stage, ours)
}

/// The v2 group that the process is born in, and the files by which it enters those of v1.
fn group_to_enter(target: &Target) -> Result<(Option<File>, Vec<File>)> {
    let below = |directory: &Path, controllers: &str| match target.sub_groups.path(controllers) {
        Some(path) => directory.join(path),
        None => directory.to_owned(),
    };
    match &target.state.cgroup {
        Cgroup::V2(group) => Ok((Some(open_group(&below(&group.directory, ""))?), Vec::new())),
        Cgroup::V1(group) => {
            let mut group = group.clone();
            group.hierarchies.iter_mut().filter(|place| place.own).for_each(|place| {
                place.path = below(&place.path, &place.controllers);
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
