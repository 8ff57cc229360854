//! Create: a container, a pod's namespaces, or a pause process after all.

use super::jobs::{Created, Job};
use super::prepare::Next;
use super::table::{Find, Sandbox, Task};
use super::{Answer, ReplyTo, Tasks};
use crate::api::task::{CreateTask, Status};
use crate::arguments::is_name;
use crate::error::{Code, Failure, Result, Tried};
use crate::fifo_owner;
use crate::handover::descriptors::{Kept, claim, claim_any};
use crate::handover::saved;
use crate::logger::{Logger, Writers};
use crate::runtime_cli::Log;
use crate::sandbox::{self, Pids, SandboxConfig};
use crate::spec::{self, Config, Rewrite, Role, Spec};
use crate::stdio::{self, Output, StreamNames, Streams};
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Tasks {
    pub(super) fn create(&mut self, request: CreateTask, reply: ReplyTo) -> Answer {
        let invalid = |reason| {
            Failure::new(Code::InvalidArgument, format!("container {:?}: {reason}", request.id))
        };
        is_name(&request.id).map_err(invalid)?;
        if self.table.contains_key(&request.id) {
            let message = format!("task {} is there already", request.id);
            return Err(Failure::new(Code::AlreadyExists, message));
        }
        if !request.checkpoint.is_empty() {
            let message = "this shim restores no checkpoint";
            return Err(Failure::new(Code::Unimplemented, message));
        }
        let bundle = PathBuf::from(&request.bundle);
        let mut config = Config::read(&bundle)?;
        match config.spec.role() {
            Role::Sandbox => {
                if let Some(sandbox) = SandboxConfig::of(&config.spec).filter(|_| !request.terminal)
                {
                    return self.create_sandbox(request, sandbox, reply);
                }
            }
            Role::Member { sandbox } => {
                if self.must_have_pause(&sandbox, &config.spec)? {
                    return self.create_pause(&sandbox, request, reply);
                }
                self.give_namespaces(&sandbox, &mut config)?;
            }
            Role::Alone => {}
        }
        self.create_container(request, &config, reply)
    }

    /// A pod without a pause process.
    fn create_sandbox(
        &mut self,
        request: CreateTask,
        config: SandboxConfig,
        reply: ReplyTo,
    ) -> Answer {
        let maker = sandbox::make(config)?;
        let task = Task::new(&request.bundle, stream_names(&request));
        self.table.insert(request.id.clone(), task);
        self.jobs.insert(maker.pid.as_raw(), Job::Sandbox { request, maker, reply });
        Ok(None)
    }

    /// Whether the container is to see its pod's processes, which has none yet.
    fn must_have_pause(&self, sandbox: &str, spec: &Spec) -> Result<bool> {
        let gone = |_| {
            let message = format!("the sandbox {sandbox} is not with this shim");
            Failure::new(Code::FailedPrecondition, message)
        };
        let pod = self.table.task(sandbox).map_err(gone)?;
        if pod.init.exit.is_some() {
            let message = format!("the sandbox {sandbox} has ended");
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        let lacks = pod.sandbox.as_ref().is_some_and(|pod| pod.namespaces.pids == Pids::Unused);
        Ok(lacks && spec::shares_pids(spec, std::process::id()))
    }

    /// Has the runtime make the pod's pause container; the other container is made after it.
    fn create_pause(&mut self, sandbox: &str, request: CreateTask, reply: ReplyTo) -> Answer {
        let bundle = self.table.task(sandbox)?.bundle.clone();
        let mut config = Config::read(&bundle)?;
        self.give_namespaces(sandbox, &mut config)?;
        let task = self.table.task_mut(sandbox)?;
        task.is_for_systemd = config.spec.is_for_systemd();
        let rootfs = task.sandbox.as_ref().map(|pod| pod.rootfs.clone()).unwrap_or_default();
        task.is_mounted = !rootfs.is_empty();
        let next = Next::Pause { sandbox: sandbox.to_owned(), request: Box::new(request) };
        if rootfs.is_empty() {
            return self.go_on(next, None, reply);
        }
        self.prepare(&bundle, &rootfs, None, next, reply)?;
        Ok(None)
    }

    /// As [`Tasks::create_pause`], when its root file system is there.
    pub(super) fn run_pause(
        &mut self,
        sandbox: &str,
        request: Box<CreateTask>,
        reply: ReplyTo,
    ) -> Answer {
        let task = self.table.task(sandbox)?;
        let (mut command, log) = self.for_driver(&task.bundle, task.is_for_systemd);
        command.args(["run", "--detach", "--pid-file"]).arg(pid_file(&task.bundle));
        command.arg("--bundle").arg(&*task.bundle).arg(sandbox);
        let job = Job::Pause { sandbox: sandbox.to_owned(), request, log, reply };
        self.spawn(command, stdio::none(), job)?;
        if let Some(pod) = &mut self.table.task_mut(sandbox)?.sandbox {
            pod.is_container = true;
        }
        Ok(None)
    }

    /// Writes the pod's namespaces into config.json, if there is no pause process to find them by.
    fn give_namespaces(&self, sandbox: &str, config: &mut Config) -> Result<()> {
        let Some(pod) = &self.table.task(sandbox)?.sandbox else { return Ok(()) };
        let is_member = |task: &&Task| task.pod.as_deref() == Some(sandbox);
        let running = self.table.values().filter(is_member).filter(|task| task.init.exit.is_none());
        let members: Vec<u32> = running.map(|task| task.init.pid).collect();
        let shim_pid = std::process::id();
        config.rewrite(&Rewrite { shim_pid, namespaces: &pod.namespaces, members: &members })
    }

    fn create_container(&mut self, request: CreateTask, config: &Config, reply: ReplyTo) -> Answer {
        let (spec, user) = (&config.spec, config.user());
        let mut task = Task::new(&request.bundle, stream_names(&request));
        task.has_own_pids = spec.has_own_pids();
        task.is_for_systemd = spec.is_for_systemd();
        task.is_mounted = !request.rootfs.is_empty();
        task.id_maps = spec.linux.id_maps().map(Into::into);
        fifo_owner::give(&task.init.stream_names, user, &task.id_maps);
        if let Role::Member { sandbox } = spec.role() {
            task.pod = Some(sandbox.into());
        }
        let logger = Logger::of(&task.init.stream_names, &request.id, self.publisher.namespace())?;
        let id = request.id.clone();
        let bundle = task.bundle.clone();
        let has_nothing_to_prepare = logger.is_none() && !task.is_mounted;
        self.table.insert(id.clone(), task);
        let begun = if has_nothing_to_prepare {
            self.go_on(Next::Container(request), None, reply)
        } else {
            let rootfs = request.rootfs.clone();
            let next = Next::Container(request);
            self.prepare(&bundle, &rootfs, logger.as_ref(), next, reply).map(|()| None)
        };
        begun.inspect_err(|_| drop(self.table.remove(&id)))
    }

    /// As [`Tasks::create_container`], when its root file system and its logger are there.
    pub(super) fn run_create(
        &mut self,
        request: CreateTask,
        writers: Option<Writers>,
        reply: ReplyTo,
    ) -> Answer {
        let id = request.id.clone();
        let task = self.table.task(&id)?;
        let bundle = &task.bundle;
        let (mut command, log) = self.for_driver(bundle, task.is_for_systemd);
        command.args(["create", "--pid-file"]).arg(pid_file(bundle));
        command.arg("--bundle").arg(&**bundle);
        let (mut streams, console) =
            self.streams(&mut command, &task.init.stream_names, writers)?;
        let keep_input = streams.keep_input.take();
        command.arg(&id);
        let created = Created { pid_file: pid_file(bundle), log, console };
        self.spawn(command, streams, Job::Create { request, created, reply })?;
        self.table.task_mut(&id)?.init.keep_input = keep_input;
        Ok(None)
    }

    /// A call of the runtime with who makes the control groups.
    fn for_driver(&self, bundle: &Path, is_for_systemd: bool) -> (Command, Log) {
        let (mut command, log) = self.runtime.command_for(bundle);
        if is_for_systemd {
            command.arg("--systemd-cgroup");
        }
        (command, log)
    }

    /// The streams of what `command` makes, or a socket for its terminal. What it writes goes to
    /// `writers` if there is a logger.
    pub(super) fn streams(
        &self,
        command: &mut Command,
        names: &StreamNames,
        writers: Option<Writers>,
    ) -> Result<(Streams, Option<Console>)> {
        if !names.terminal {
            let Some(writers) = writers else { return Ok((stdio::open(names)?, None)) };
            let stdin = names.stdin.clone();
            let streams = stdio::open(&StreamNames { stdin, ..StreamNames::default() })?;
            let [output, error] = [writers.output, writers.error].map(|fd| Output::Open(fd.into()));
            return Ok((Streams { output, error, ..streams }, None));
        }
        // No two jobs have the same number of terminals and jobs before them.
        let jobs = self.jobs.len() + self.waiting.len();
        let name = format!("terminal-{}-{jobs}", self.next_terminal);
        let path = self.shard.directory().join(name);
        drop(std::fs::remove_file(&path));
        let socket = UnixListener::bind(&path).tried("listen on", &path)?;
        command.arg("--console-socket").arg(&path);
        let streams = match writers {
            Some(writers) => {
                Streams { shown: Output::Open(writers.output.into()), ..stdio::none() }
            }
            None => stdio::open_shown(names)?,
        };
        Ok((streams, Some(Console { socket, path, output: None })))
    }
}

/// Where the runtime sends a terminal to. The file goes with it.
#[derive(Debug)]
pub struct Console {
    /// It listens.
    pub socket: UnixListener,
    /// Where it is shown.
    pub output: Option<File>,
    path: PathBuf,
}

impl Console {
    /// For the next program.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> saved::Console {
        saved::Console {
            fd: kept.keep(&self.socket),
            path: self.path.display().to_string(),
            output_fd: kept.keep_any(self.output.as_ref()),
        }
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: saved::Console) -> Result<Self> {
        let (socket, output) = (claim(saved.fd)?, claim_any(saved.output_fd)?);
        Ok(Self { socket, output, path: saved.path.into() })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Where the runtime writes the first process of a container; others look for it there, too.
pub(super) fn pid_file(bundle: &Path) -> PathBuf {
    bundle.join("init.pid")
}

fn stream_names(request: &CreateTask) -> StreamNames {
    StreamNames {
        stdin: request.stdin.as_str().into(),
        stdout: request.stdout.as_str().into(),
        stderr: request.stderr.as_str().into(),
        terminal: request.terminal,
    }
}

/// A pod's process stands for one that is not there: the shim's own, as in VM-based runtimes.
pub(super) fn stand_in(task: &mut Task, sandbox: Sandbox) {
    task.init.pid = std::process::id();
    task.init.status = Status::Created;
    task.sandbox = Some(Box::new(sandbox));
}
