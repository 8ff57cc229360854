//! A node that is up: what the lab holds, asks and takes down.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_progress::Progress;

use crate::command_output::output_of;
use crate::config::{ControlPlane, check_name};
use crate::daemon::{Daemon, log_tail};
use crate::error_chain::chain;
use crate::layout::Layout;
use crate::member::Member;
use crate::node_handle::{Kind, NodeHandle};
use crate::record::{self, Record, worker_names};
use crate::wire::{Channel, Event, Received, Request};
use crate::{namespaces, traces};

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
    handle: NodeHandle,
}

impl NativeNode {
    pub(crate) fn new(record: Record, keeper: Child, channel: Channel) -> Result<Self> {
        let mut node = Self::open(record)?;
        node.handle = node.handle.brought_up(keeper, channel);
        Ok(node)
    }

    pub(crate) fn set_workers(&mut self, workers: Vec<Self>) {
        self.workers = workers;
    }

    fn open(record: Record) -> Result<Self> {
        Ok(Self {
            layout: Layout::new(&record.member.name),
            handle: NodeHandle::open(&record.member.name, KIND, record.init, record.keeper)?,
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
        let mut node = record::read(name).and_then(Self::open).map_err(|error| {
            miette!(
                help = "see `wamr-lab node status`; `wamr-lab clean` removes dead nodes",
                "no node {name} is up: {}",
                chain(&error)
            )
        })?;
        // One that is dead is told of by `node status`, and must not hide the others.
        let workers = worker_names(name);
        node.workers = workers.iter().filter_map(|worker| Self::attach(worker).ok()).collect();
        Ok(node)
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
        self.record.init.pid()
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
        output_of(&mut self.command(argv), argv)
    }

    /// Sees whether all daemons still run.
    ///
    /// # Errors
    /// One ended; the text says which and how, with its last log lines.
    pub fn check(&self) -> Result<()> {
        self.workers.iter().try_for_each(|worker| {
            worker.check().wrap_err_with(|| format!("the worker {} broke", worker.name()))
        })?;
        let mut channel = self.handle.channel();
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
        let mut channel = self.handle.channel();
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
            worker.handle.stay()?;
        }
        self.handle.stay()
    }

    /// Takes the node down: daemons, everything else that runs in it, and all that it left on the
    /// host. Also fine for a node that is down already.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn down(mut self, progress: &Progress) -> Result<()> {
        let workers = self.workers.iter_mut();
        // Each is tried, also after one that failed.
        let downs: Vec<Result<()>> =
            workers.map(|worker| worker.handle.stop_and_remove()).collect();
        self.handle.down(progress)?;
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
        match record::read(name).and_then(Self::open) {
            Ok(mut node) => node.handle.stop_and_remove(),
            Err(_) => traces::remove(name),
        }
    }
}
