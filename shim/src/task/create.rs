//! Create: a container, a pod's namespaces, or a pause process after all.

use super::jobs::{Created, Job};
use super::table::{Find, Sandbox, Task};
use super::{Answer, ReplyTo, Tasks};
use crate::api::task::{CreateTask, Status};
use crate::arguments::is_name;
use crate::error::{Code, Failure, Result, Tried};
use crate::mounts;
use crate::runtime_cli::Log;
use crate::sandbox::{self, Pids, SandboxConfig};
use crate::spec::{self, Config, Rewrite, Role, Spec};
use crate::stdio::{self, StreamNames, Streams};
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
        self.create_container(request, &config.spec, reply)
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
        if let Some(pod) = &self.table.task(sandbox)?.sandbox {
            mounts::mount_all(&pod.rootfs, &bundle.join("rootfs"))?;
        }
        let (mut command, log) = self.for_driver(&bundle, &config.spec);
        command.args(["run", "--detach", "--pid-file"]).arg(pid_file(&bundle));
        command.arg("--bundle").arg(&*bundle).arg(sandbox);
        let job =
            Job::Pause { sandbox: sandbox.to_owned(), request: Box::new(request), log, reply };
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

    fn create_container(&mut self, request: CreateTask, spec: &Spec, reply: ReplyTo) -> Answer {
        let root = Path::new(&request.bundle).join("rootfs");
        mounts::mount_all(&request.rootfs, &root)?;
        let id = request.id.clone();
        let task = self.run_create(request, spec, reply);
        self.table.insert(id, task.inspect_err(|_| mounts::unmount(&root))?);
        Ok(None)
    }

    fn run_create(&mut self, request: CreateTask, spec: &Spec, reply: ReplyTo) -> Result<Task> {
        let bundle = Path::new(&request.bundle);
        let mut task = Task::new(&request.bundle, stream_names(&request));
        task.has_own_pids = spec.has_own_pids();
        if let Role::Member { sandbox } = spec.role() {
            task.pod = Some(sandbox.into());
        }
        let (mut command, log) = self.for_driver(bundle, spec);
        command.args(["create", "--pid-file"]).arg(pid_file(bundle));
        command.arg("--bundle").arg(bundle);
        let (mut streams, console) = self.streams(&mut command, &task.init.stream_names)?;
        task.init.keep_input = streams.keep_input.take();
        command.arg(&request.id);
        let created = Created { pid_file: pid_file(bundle), log, console };
        self.spawn(command, streams, Job::Create { request, created, reply })?;
        Ok(task)
    }

    /// A call of the runtime with who makes the control groups.
    fn for_driver(&self, bundle: &Path, spec: &Spec) -> (Command, Log) {
        let (mut command, log) = self.runtime.command_for(bundle);
        if spec.is_for_systemd() {
            command.arg("--systemd-cgroup");
        }
        (command, log)
    }

    /// The streams of what `command` makes, or a socket for its terminal.
    pub(super) fn streams(
        &self,
        command: &mut Command,
        names: &StreamNames,
    ) -> Result<(Streams, Option<Console>)> {
        if !names.terminal {
            return Ok((stdio::open(names)?, None));
        }
        // No two jobs have the same number of terminals and jobs before them.
        let jobs = self.jobs.len() + self.waiting.len();
        let name = format!("terminal-{}-{jobs}", self.next_terminal);
        let path = self.shard.directory().join(name);
        drop(std::fs::remove_file(&path));
        let socket = UnixListener::bind(&path).tried("listen on", &path)?;
        command.arg("--console-socket").arg(&path);
        Ok((stdio::open_shown(names)?, Some(Console { socket, path, output: None })))
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
