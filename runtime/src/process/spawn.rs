//! Makes the init in its namespaces, directly or through a stage.

use super::channel::{self, Channel, FromInit, ToInit};
use super::init::{self, Init};
use super::setup::Setup;
use crate::cgroup::Cgroup;
use crate::error::{Act, Error, Result, chain};
use crate::namespaces::{self, NEW_CGROUP, NEW_PID, Opened};
use crate::sys::process::{self, Cloned};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// What the init gets from the runtime.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What it is to become.
    pub setup: &'a Setup,
    /// The container's groups.
    pub cgroup: &'a Cgroup,
    /// The namespaces to join, opened.
    pub joins: Vec<Opened>,
    /// The id-mapped mounts, detached, at their places in the list of mounts.
    pub trees: Vec<Option<OwnedFd>>,
    /// The gate, open for reading.
    pub gate: OwnedFd,
    /// For a failure after the gate, if `start` is going to listen.
    pub report: Option<OwnedFd>,
    /// The engine's console socket.
    pub console: Option<OwnedFd>,
    /// Where the root is mounted if that is among the host's mounts.
    pub shared_root: Option<PathBuf>,
}

/// An init that is performing its steps.
#[derive(Debug)]
pub struct Spawned {
    /// Its PID, as the runtime sees it. It is the runtime's child.
    pub pid: i32,
    /// The runtime's end of the channel.
    pub channel: Channel,
}

/// Makes the init. In the child this never returns.
///
/// # Errors
/// [`Error::Os`]; [`Error::Init`]: the stage failed.
pub fn spawn(parts: Parts) -> Result<Spawned> {
    let (ours, theirs) = channel::pair()?;
    if parts.setup.namespaces.needs_stage() {
        return staged(parts, ours, theirs);
    }
    direct(parts, ours, theirs)
}

fn direct(mut parts: Parts, ours: Channel, theirs: Channel) -> Result<Spawned> {
    // In a v2 hierarchy the child is born in its group: entering it later waits for an RCU grace
    // period, some 10 ms. On v1 it enters each group by itself, which does not.
    let (group, entrances) = match parts.cgroup {
        Cgroup::V2(group) => (Some(group.directory.as_path()), Vec::new()),
        Cgroup::V1(group) => (group.unified(), group.entrances(false)?),
    };
    let group = group.map(open_group).transpose()?;
    // A process cannot change its own PID namespace, only that of its children: the runtime
    // joins for the clone and comes back, so that its hooks stay outside.
    let pid_join = parts.joins.iter().position(|join| join.flag == NEW_PID);
    let pid_join = pid_join.map(|index| parts.joins.remove(index));
    let own = pid_join.as_ref().map(enter_pid_namespace).transpose()?;
    let flags = parts.setup.namespaces.new & !NEW_CGROUP;
    let cloned = process::clone3(flags, group.as_ref().map(AsFd::as_fd));
    if let Ok(Cloned::Child) = cloned {
        drop(ours);
        run_init(parts, theirs, entrances)
    }
    if let Some(own) = &own {
        namespaces::join(own)?;
    }
    match cloned.act(|| "clone3: make the container's process".to_owned())? {
        Cloned::Parent(pid) => Ok(Spawned { pid, channel: ours }),
        Cloned::Child => Err(Error::Init("the child left its steps".to_owned())),
    }
}

/// Opens the v2 group `directory` for a process to be born in.
///
/// # Errors
/// [`Error::Os`].
pub fn open_group(directory: &std::path::Path) -> Result<File> {
    File::open(directory).act(|| format!("open the cgroup {}", directory.display()))
}

/// Joins for the children; returns the way back.
fn enter_pid_namespace(join: &Opened) -> Result<Opened> {
    let own = File::open("/proc/self/ns/pid").act(|| "open /proc/self/ns/pid".to_owned())?;
    namespaces::join(join)?;
    Ok(Opened { flag: NEW_PID, file: own.into() })
}

fn run_init(parts: Parts, channel: Channel, entrances: Vec<File>) -> ! {
    let Parts { setup, cgroup, joins, trees, gate, report, console, shared_root } = parts;
    let init = Init {
        setup,
        cgroup,
        channel,
        entrances,
        joins,
        trees,
        gate,
        report,
        console,
        shared_root,
    };
    init.run()
}

fn staged(mut parts: Parts, ours: Channel, theirs: Channel) -> Result<Spawned> {
    // Born in a user namespace, the init could not be put into the group by the kernel's check
    // of the stage; it enters through a file that the runtime opened.
    let entrances = match parts.cgroup {
        Cgroup::V1(group) => group.entrances(true)?,
        Cgroup::V2(group) => {
            let path = group.directory.join("cgroup.procs");
            let file = File::options().write(true).open(&path);
            vec![file.act(|| format!("open {}", path.display()))?]
        }
    };
    let stage = match process::clone3(0, None).act(|| "clone3: make the stage".to_owned())? {
        Cloned::Parent(pid) => pid,
        Cloned::Child => {
            drop(ours);
            let joins = std::mem::take(&mut parts.joins);
            run_stage(parts, &joins, theirs, entrances)
        }
    };
    drop(theirs);
    await_stage(stage, ours)
}

/// Waits until the process `stage` has made another, which is the runtime's child, and lets that go
/// on.
///
/// # Errors
/// [`Error::Init`]: the stage failed.
pub fn await_stage(stage: i32, channel: Channel) -> Result<Spawned> {
    let heard = channel.hear();
    waitpid(Pid::from_raw(stage), None).act(|| "wait for the stage".to_owned())?;
    match heard? {
        Some(FromInit::Cloned(pid)) => {
            // Not before: on the one channel its word could come before that of the stage.
            channel.answer(&ToInit::Continue(String::new()))?;
            Ok(Spawned { pid, channel })
        }
        Some(FromInit::Failed(text)) => Err(Error::Init(text)),
        _ => Err(Error::Init("the stage died before it made the process".to_owned())),
    }
}

fn run_stage(parts: Parts, joins: &[Opened], channel: Channel, entrances: Vec<File>) -> ! {
    let flags = libc::CLONE_PARENT as u64;
    let cloned = init::stage(parts.setup, joins).and_then(|left| {
        process::clone3(left | flags, None)
            .act(|| "clone3: make the container's process".to_owned())
    });
    let message = match cloned {
        Ok(Cloned::Child) => match channel.wait() {
            Ok(_) => run_init(parts, channel, entrances),
            // There is nobody left to create this container.
            Err(_) => process::exit_now(1),
        },
        Ok(Cloned::Parent(pid)) => FromInit::Cloned(pid),
        Err(error) => FromInit::Failed(chain(&error)),
    };
    // A runtime that is gone needs no answer; the init notices it by itself.
    drop(channel.tell(&message));
    process::exit_now(0)
}
