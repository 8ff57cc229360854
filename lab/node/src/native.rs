//! A node that is up: what the lab holds, asks and takes down.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;

use crate::config::{ControlPlane, NodeConfig, check_name};
use crate::daemon::{Daemon, log_tail};
use crate::held::{Held, Kind};
use crate::layout::Layout;
use crate::member::{Member, is_worker_of};
use crate::wire::{Channel, Event, Received, Request};
use crate::{bring_up, namespaces, start, sys, traces, vm};

/// How long the kernel may take to end what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(20);

const KIND: Kind = Kind {
    main: "the node's init",
    down: "node down",
    signal: libc::SIGTERM,
    // 7 daemons of 1 s each, and removing the state.
    stop_limit: Duration::from_mins(1),
};

/// A Kubernetes node in namespaces of this machine. Dropping it takes the node down.
#[derive(Debug)]
pub struct NativeNode {
    layout: Layout,
    record: Box<Record>,
    /// Of a control plane; dropped, and so taken down, before it.
    workers: Vec<NativeNode>,
    held: Held,
}

/// What another process needs to find a running node: `node.json` in its run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) member: Member,
    pub(crate) init: ProcessId,
    pub(crate) keeper: ProcessId,
    pub(crate) control_plane: ControlPlane,
    pub(crate) daemons: Vec<Daemon>,
}

/// A process, safe against another that gets its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pid: u32,
    /// Field 22 of /proc/PID/stat.
    start_ticks: u64,
}

impl ProcessId {
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in field 2 may hold anything, also ')'.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let start_ticks = after_name.split_whitespace().nth(19).and_then(|text| text.parse().ok());
        let start_ticks =
            start_ticks.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: {stat}")))?;
        Ok(Self { pid, start_ticks })
    }

    /// A handle, if the process still lives.
    pub(crate) fn open(self) -> io::Result<OwnedFd> {
        let fd = sys::pidfd_open(self.pid)?;
        if Self::of(self.pid)? == self {
            return Ok(fd);
        }
        Err(io::Error::from(Errno::ESRCH))
    }
}

fn read_record(layout: &Layout) -> Result<Record> {
    let path = layout.record();
    let text = fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| path.display().to_string())
}

/// Notes in the run directory that this process is bringing the node up.
pub(crate) fn write_owner(layout: &Layout) -> io::Result<()> {
    let own = ProcessId::of(sys::own_pid())?;
    fs::write(layout.owner(), serde_json::to_string(&own)?)
}

/// True if another process that still lives is bringing the node `name` up.
pub(crate) fn is_being_made(name: &str) -> bool {
    let layout = Layout::new(name);
    let owner = fs::read_to_string(layout.owner()).ok();
    let owner = owner.and_then(|text| serde_json::from_str::<ProcessId>(&text).ok());
    owner.is_some_and(|owner| {
        let up = layout.record().exists() || layout.vm_record().exists();
        owner.pid != sys::own_pid() && owner.open().is_ok() && !up
    })
}

/// True if the record of `name` names a living init, or a living virtual machine.
pub(crate) fn is_running(name: &str) -> bool {
    read_record(&Layout::new(name)).is_ok_and(|record| record.init.open().is_ok())
        || vm::is_running(name)
}

impl NativeNode {
    /// Brings a node up. It returns when the Node object is Ready, the images are imported, the
    /// RuntimeClasses exist and pods can be created. metrics-server runs then, but answers only
    /// after its second scrape.
    ///
    /// # Errors
    /// The configuration is wrong, the name is taken, or a daemon did not come up: the text says
    /// which, ends with its last log lines, and its help names the directory of all logs.
    pub fn up(config: &NodeConfig, progress: &Progress) -> Result<Self> {
        bring_up::bring_up(config, progress)
    }

    pub(crate) fn new(record: Record, keeper: Child, channel: Channel) -> Result<Self> {
        let mut node = Self::open(record)?;
        node.held = node.held.brought_up(keeper, channel);
        Ok(node)
    }

    pub(crate) fn set_workers(&mut self, workers: Vec<Self>) {
        self.workers = workers;
    }

    fn open(record: Record) -> Result<Self> {
        Ok(Self {
            layout: Layout::new(&record.member.name),
            held: Held::open(&record.member.name, KIND, record.init, record.keeper)?,
            record: Box::new(record),
            workers: Vec::new(),
        })
    }

    /// A node that another process brought up and told to stay. It stays when this is dropped.
    ///
    /// # Errors
    /// There is no such node, or it is dead.
    pub fn attach(name: &str) -> Result<Self> {
        check_name(name)?;
        let mut node = read_record(&Layout::new(name)).and_then(Self::open).map_err(|error| {
            miette!(
                help = "see `wamr-lab node status`; `wamr-lab clean` removes dead nodes",
                "no node {name} is up: {}",
                crate::init::chain(&error)
            )
        })?;
        // One that is dead is told of by `node status`, and must not hide the others.
        let workers = worker_names(name);
        node.workers = workers.iter().filter_map(|worker| Self::attach(worker).ok()).collect();
        Ok(node)
    }

    /// Names of nodes that are up or left something behind, sorted, each with whether it is up.
    pub fn names() -> Vec<(String, bool)> {
        Layout::names().into_iter().map(|name| (name.clone(), is_running(&name))).collect()
    }

    /// The node's name, which is also that of its Node object.
    pub fn name(&self) -> &str {
        &self.record.member.name
    }

    /// Which node of its cluster it is.
    pub fn member(&self) -> &Member {
        &self.record.member
    }

    /// The other nodes of its cluster, if it is a control plane with workers.
    pub fn workers(&self) -> &[Self] {
        &self.workers
    }

    /// The admin's kubeconfig on the host. Its server's address is reachable from inside the node's
    /// network namespace only.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The node's network namespace, for `setns(2)` by a thread.
    ///
    /// # Errors
    /// The node is dead.
    pub fn network_namespace(&self) -> io::Result<OwnedFd> {
        File::open(format!("/proc/{}/ns/net", self.init_pid())).map(OwnedFd::from)
    }

    /// PID 1 of the node in the caller's PID namespace.
    pub fn init_pid(&self) -> u32 {
        self.record.init.pid
    }

    /// The node's root as the host sees it. Absolute links in it lead to the host's files.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init_pid()))
    }

    /// The node's own /proc as the host sees it: PIDs there are the node's.
    pub fn proc_root(&self) -> PathBuf {
        self.root().join("proc")
    }

    /// The daemons' logs on the host, `NAME.log`. [`NativeNode::down`] removes them.
    pub fn log_dir(&self) -> PathBuf {
        self.layout.log()
    }

    /// The daemons with their command lines, in the order of their start.
    pub fn daemons(&self) -> &[Daemon] {
        &self.record.daemons
    }

    /// How fast the control plane may go.
    pub fn control_plane(&self) -> ControlPlane {
        self.record.control_plane
    }

    /// The node's control group in every hierarchy, as the host sees it: a name below the root.
    /// The node sees it as the root.
    pub fn cgroup(&self) -> String {
        self.layout.cgroup()
    }

    /// A command that will run inside the node, with the admin's KUBECONFIG set. The caller may
    /// set standard streams; the exit status is the command's own.
    pub fn command(&self, argv: &[&str]) -> Command {
        namespaces::command_inside(self.init_pid(), self.name(), argv)
    }

    /// Runs a program inside the node with this process's standard streams.
    ///
    /// # Errors
    /// This program cannot be started again. A program that is missing inside exits with 126.
    pub fn exec(&self, argv: &[&str]) -> Result<ExitStatus> {
        self.command(argv).status().into_diagnostic().wrap_err("start this program again")
    }

    /// Runs a program inside the node and returns its standard output.
    ///
    /// # Errors
    /// It fails; the text holds its standard error.
    pub fn output(&self, argv: &[&str]) -> Result<String> {
        start::output_of(&mut self.command(argv), argv)
    }

    /// Sees whether all daemons still run.
    ///
    /// # Errors
    /// One ended; the text says which and how, with its last log lines.
    pub fn check(&self) -> Result<()> {
        self.workers.iter().try_for_each(|worker| {
            worker.check().wrap_err_with(|| format!("the worker {} broke", worker.name()))
        })?;
        let mut channel = self.held.channel();
        let Some(open) = channel.as_mut() else { return Ok(()) };
        loop {
            match open.receive(Duration::ZERO).into_diagnostic().wrap_err("ask the node's init")? {
                Received::Nothing => return Ok(()),
                Received::Message(event) => self.judge(&event)?,
                Received::Closed => {
                    *channel = None;
                    return Err(miette!("the node's init ended{}", self.tail("init")));
                }
            }
        }
    }

    fn judge(&self, event: &Event) -> Result<()> {
        match event {
            Event::Ended { name, how } => Err(miette!("{name} ended: {how}{}", self.tail(name))),
            Event::Failed { what } => Err(miette!("set up the node: {what}")),
            Event::Init { .. } | Event::Ready | Event::Started { .. } => Ok(()),
        }
    }

    /// The end of a daemon's log, as the continuation of an error text.
    pub(crate) fn tail(&self, daemon: &str) -> String {
        let path = self.layout.log().join(format!("{daemon}.log"));
        format!("; the end of its log:\n{}", log_tail(&path, 20))
    }

    pub(crate) fn start(&self, daemon: &Daemon) -> Result<()> {
        let mut channel = self.held.channel();
        let open = channel.as_mut().ok_or_else(|| miette!("the node's init ended"))?;
        open.send(&Request::Start(daemon.clone()))
            .into_diagnostic()
            .wrap_err_with(|| format!("ask the node's init to start {}", daemon.name))
    }

    /// Lets the node live on when this process ends: for `node up` on a command line.
    ///
    /// # Errors
    /// The node is dead.
    pub fn stay(mut self) -> Result<()> {
        for worker in &mut self.workers {
            worker.held.stay()?;
        }
        self.held.stay()
    }

    /// Takes the node down: daemons, everything else that runs in it, and all that it left on the
    /// host. Also fine for a node that is down already.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn down(mut self, progress: &Progress) -> Result<()> {
        let workers = self.workers.iter_mut();
        // Each is tried, also after one that failed.
        let downs: Vec<Result<()>> = workers.map(|worker| worker.held.stop_and_remove()).collect();
        self.held.down(progress)?;
        downs.into_iter().collect()
    }

    /// Takes down and removes the node `name`, whoever brought it up and whether or not that
    /// process or the node still lives. Nothing there is fine.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn clean(name: &str) -> Result<()> {
        check_name(name)?;
        for worker in worker_names(name) {
            Self::clean(&worker)?;
        }
        match read_record(&Layout::new(name)).and_then(Self::open) {
            Ok(mut node) => node.held.stop_and_remove(),
            Err(_) => traces::remove(name),
        }
    }
}

/// Workers of the control plane `name` that are up or left something behind.
fn worker_names(name: &str) -> Vec<String> {
    Layout::names().into_iter().filter(|other| is_worker_of(name, other)).collect()
}

/// Kills a process and waits for its end; one that is gone is fine.
pub(crate) fn kill(pidfd: &OwnedFd, what: &str) -> Result<()> {
    // ESRCH means that it is gone, which is what is wanted; the wait below decides.
    drop(sys::pidfd_send_signal(pidfd, libc::SIGKILL));
    if ended_within(pidfd, KILL_LIMIT) {
        return Ok(());
    }
    Err(miette!("{what} did not end within {} s of SIGKILL", KILL_LIMIT.as_secs()))
}

/// A pidfd is readable once its process ended. Source: pidfd_open(2).
pub(crate) fn ended_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut watched, timeout) {
            Err(Errno::EINTR) => {}
            Ok(count) => return count > 0,
            Err(_) => return false,
        }
    }
}

#[test]
fn a_process_is_itself_and_no_other() {
    let own = ProcessId::of(std::process::id()).unwrap();
    assert!(own.open().is_ok());
    let other = ProcessId { start_ticks: own.start_ticks + 1, ..own };
    assert_eq!(other.open().unwrap_err().raw_os_error(), Some(libc::ESRCH));
}
