//! What is known of a container and its processes. There is one of these per container for as long
//! as it lives, so they are small.

use super::ReplyTo;
use crate::api::Timestamp;
use crate::api::task::{Exited, Mount, Status, signalled};
use crate::error::{Failure, Result};
use crate::sandbox::Namespaces;
use crate::spec::IdMapping;
use crate::stats::Groups;
use crate::stdio::StreamNames;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A container, or a pod without a pause process.
#[derive(Debug)]
pub struct Task {
    /// Directory with config.json.
    pub bundle: Box<Path>,
    /// The pod that it is in.
    pub pod: Option<Box<str>>,
    /// There if it is a pod without a pause process.
    pub sandbox: Option<Box<Sandbox>>,
    /// The container's first process; for such a pod it stands for one.
    pub init: Process,
    /// Further processes, by their own names.
    pub execs: BTreeMap<Box<str>, Exec>,
    /// Its control groups, from when it was made.
    pub groups: Option<Groups>,
    /// Whether the kernel ends all its processes with the first.
    pub has_own_pids: bool,
    /// Its users, as the node knows them; empty where they are the node's.
    pub id_maps: [Box<[IdMapping]>; 2],
    /// Whether systemd makes its control groups.
    pub is_for_systemd: bool,
    /// Whether this shim has mounted its root file system.
    pub is_mounted: bool,
}

/// A pod without a pause process.
#[derive(Debug)]
pub struct Sandbox {
    /// Those of the pod.
    pub namespaces: Namespaces,
    /// From which its root file system could be made, if it needs a process after all.
    pub rootfs: Vec<Mount>,
    /// Whether the runtime has made a container of it: the pause process.
    pub is_container: bool,
}

/// A further process of a container.
#[derive(Debug)]
pub struct Exec {
    /// The process.
    pub process: Process,
    /// `process` of config.json, until it is started.
    pub spec: Box<[u8]>,
}

/// A process.
#[derive(Debug)]
pub struct Process {
    /// 0 as long as there is none.
    pub pid: u32,
    /// Where it is in its life.
    pub status: Status,
    /// Its streams.
    pub stream_names: StreamNames,
    /// Keeps its standard input open.
    pub keep_input: Option<OwnedFd>,
    /// Its terminal.
    pub terminal: Option<u32>,
    /// Whether the runtime is just starting it.
    pub is_starting: bool,
    /// How it has ended, to be told when the runtime has started it.
    pub held_exit: Option<Exit>,
    /// How it has ended.
    pub exit: Option<Exit>,
    /// Who waits for that.
    pub waiters: Vec<ReplyTo>,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, or 128 and the signal's number.
    pub status: u32,
    /// When.
    pub at: Timestamp,
}

impl Exit {
    /// A signal has ended it, now.
    pub fn by(signal: Signal) -> Self {
        Self { status: signalled(signal as i32), at: Timestamp::now() }
    }

    /// What Wait is answered.
    pub fn answer(self) -> Exited {
        Exited { exit_status: self.status, exited_at: Some(self.at) }
    }
}

impl Process {
    /// One that is to be made.
    pub fn new(stream_names: StreamNames) -> Self {
        Self {
            pid: 0,
            status: Status::Unknown,
            stream_names,
            keep_input: None,
            terminal: None,
            is_starting: false,
            held_exit: None,
            exit: None,
            waiters: Vec::new(),
        }
    }
}

impl Task {
    /// One that is to be made.
    pub fn new(bundle: &str, stream_names: StreamNames) -> Self {
        Self {
            bundle: Path::new(bundle).into(),
            pod: None,
            sandbox: None,
            init: Process::new(stream_names),
            execs: BTreeMap::new(),
            groups: None,
            has_own_pids: true,
            id_maps: [[].into(), [].into()],
            is_for_systemd: false,
            is_mounted: false,
        }
    }

    /// All of its processes.
    pub fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        let execs = self.execs.values_mut().map(|exec| &mut exec.process);
        std::iter::once(&mut self.init).chain(execs)
    }

    /// The process of that name; empty is the first.
    ///
    /// # Errors
    /// There is none.
    pub fn process(&self, exec_id: &str) -> Result<&Process> {
        match exec_id {
            "" => Ok(&self.init),
            _ => match self.execs.get(exec_id) {
                Some(exec) => Ok(&exec.process),
                None => Err(Failure::not_found(format_args!("process {exec_id}"))),
            },
        }
    }

    /// As [`Task::process`].
    ///
    /// # Errors
    /// There is none.
    pub fn process_mut(&mut self, exec_id: &str) -> Result<&mut Process> {
        match exec_id {
            "" => Ok(&mut self.init),
            _ => match self.execs.get_mut(exec_id) {
                Some(exec) => Ok(&mut exec.process),
                None => Err(Failure::not_found(format_args!("process {exec_id}"))),
            },
        }
    }
}

/// The tasks of this process, looked up.
pub trait Find {
    /// The container's.
    ///
    /// # Errors
    /// There is none.
    fn task(&self, id: &str) -> Result<&Task>;

    /// As [`Find::task`].
    ///
    /// # Errors
    /// There is none.
    fn task_mut(&mut self, id: &str) -> Result<&mut Task>;
}

impl Find for BTreeMap<String, Task> {
    fn task(&self, id: &str) -> Result<&Task> {
        self.get(id).ok_or_else(|| Failure::not_found(format_args!("task {id}")))
    }

    fn task_mut(&mut self, id: &str) -> Result<&mut Task> {
        self.get_mut(id).ok_or_else(|| Failure::not_found(format_args!("task {id}")))
    }
}
