//! Children that are waited for: calls of the runtime, and makers of namespaces.

use super::create::{Console, pid_file, stand_in};
use super::prepare::{After, Next};
use super::table::{Exit, Find, Sandbox};
use super::{ReplyTo, Tasks, Upgrade};
use crate::api::Empty;
use crate::api::event::{Event, TaskCreate, TaskDelete, TaskExecStarted, TaskIo, TaskStart};
use crate::api::task::{CreateTask, Deleted, Pid, Status};
use crate::error::{Code, Failure, Result, Tried};
use crate::logger::Writers;
use crate::runtime_cli::Log;
use crate::sandbox::{Maker, Pids};
use crate::stats::Groups;
use crate::stdio::{self, Streams};
use crate::terminal::Terminal;
use crate::worker::Worker;
use nix::sys::signal::{SigSet, Signal};
use prost::Message;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is to be done when a child has ended.
#[derive(Debug)]
pub enum Job {
    /// A pod's namespaces are made.
    Sandbox { request: CreateTask, maker: Maker, reply: ReplyTo },
    /// What a process needs is there: then it is made.
    Prepare { next: Next, worker: Worker, writers: Option<Writers>, reply: ReplyTo },
    /// The same, but nobody waits any more: what it has mounted goes.
    Late { bundle: Box<Path> },
    /// A root file system is unmounted.
    Unmount { after: After, reply: ReplyTo },
    /// A pod's pause process is made; then the container that needs it.
    Pause { sandbox: String, request: Box<CreateTask>, log: Log, reply: ReplyTo },
    /// A container is made.
    Create { request: CreateTask, created: Created, reply: ReplyTo },
    /// A container's program is started.
    Start { id: String, log: Log, reply: ReplyTo },
    /// A further process is started.
    Exec { id: String, exec_id: String, created: Created, spec: PathBuf, reply: ReplyTo },
    /// A container is removed.
    Delete { id: String, log: Log, reply: ReplyTo },
    /// A container is changed; then it is in that state, if one is named.
    Change { id: String, status: Option<Status>, log: Log, reply: ReplyTo },
    /// A program is tried that may go on with all of this.
    Trial { upgrade: Upgrade, said: File },
    /// Nobody waits for it.
    Forgotten,
}

/// What the runtime leaves when it has made a process.
#[derive(Debug)]
pub struct Created {
    /// The process' number.
    pub pid_file: PathBuf,
    /// What went wrong.
    pub log: Log,
    /// The process' terminal.
    pub console: Option<Console>,
}

impl Job {
    /// The terminal of the process that is made.
    fn console(&mut self) -> Option<&mut Console> {
        match self {
            Self::Create { created, .. } | Self::Exec { created, .. } => created.console.as_mut(),
            _ => None,
        }
    }
}

impl Tasks {
    /// Starts a call of the runtime, whose streams are open, for `job`: the child.
    pub(super) fn launch(
        &mut self,
        mut command: Command,
        streams: Streams,
        job: &mut Job,
    ) -> Result<i32> {
        let Streams { input, output, error, shown, .. } = streams;
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        command.stdout(output.into_stdio()).stderr(error.into_stdio());
        if let Some(console) = job.console() {
            console.output = shown.into_file();
        }
        self.start_child(command)
    }

    /// Starts a program, whose end is told with those of all other children.
    pub(super) fn start_child(&mut self, mut command: Command) -> Result<i32> {
        self.open_files.restore_in(&mut command);
        let program = PathBuf::from(command.get_program());
        // A child has the signals blocked that this process has. One that ends meanwhile is told
        // by nobody, so it is looked for afterwards.
        let signals = SigSet::from(Signal::SIGCHLD);
        signals.thread_unblock().tried("unblock signals of", &program)?;
        let child = command.spawn();
        signals.thread_block().tried("block signals of", &program)?;
        self.must_reap = true;
        let child = child.tried("run", &program)?;
        // It is reaped with all other children.
        Ok(child.id() as i32)
    }

    /// A child has ended for which there was a job, with this exit code, or was never started.
    pub(super) fn finish(&mut self, job: Job, end: &Result<u32>) {
        let failed = |log: &Log| match end {
            Ok(0) => Ok(()),
            Err(failure) => Err(failure.clone()),
            Ok(code) => {
                let said = log.last_error();
                let message = said.unwrap_or_else(|| format!("wamr-crun has ended with {code}"));
                Err(Failure::new(Code::Unknown, message))
            }
        };
        let (reply, answer) = match job {
            Job::Forgotten => return,
            Job::Late { bundle } => return self.unmount_unheard(&bundle),
            Job::Trial { upgrade, said } => return self.tried(upgrade, said, end),
            Job::Prepare { next, worker, writers, reply } => {
                let outcome = end.clone().and_then(|status| worker.outcome(status));
                return self.prepared(next, outcome, writers, reply);
            }
            Job::Unmount { after, reply } => (reply, self.unmounted(after)),
            Job::Sandbox { request, maker, reply } => (reply, self.sandbox_made(&request, maker)),
            Job::Pause { sandbox, request, log, reply } => {
                let paused = failed(&log).and_then(|()| self.pause_made(&sandbox));
                match paused.and_then(|()| self.create(*request, reply)) {
                    Ok(None) => return,
                    Ok(Some(answer)) => (reply, Ok(answer)),
                    Err(failure) => (reply, Err(failure)),
                }
            }
            Job::Create { request, created, reply } => {
                let done = failed(&created.log).and_then(|()| self.created(&request, &created));
                if let Err(failure) = done {
                    // The runtime may have made it, and something after that gone wrong.
                    self.forget(&["delete", "--force", &request.id]);
                    return self.discard(&request.id, failure, reply);
                }
                (reply, done)
            }
            Job::Start { id, log, reply } => {
                let done = failed(&log).and_then(|()| self.started(&id));
                self.tell_held_exit(&id, "");
                (reply, done)
            }
            Job::Exec { id, exec_id, created, spec, reply } => {
                let done = failed(&created.log);
                let done = done.and_then(|()| self.exec_started(&id, &exec_id, &created));
                self.tell_held_exit(&id, &exec_id);
                drop(fs::remove_file(spec));
                drop(fs::remove_file(&created.pid_file));
                (reply, done)
            }
            Job::Delete { id, log, reply } => {
                if let Err(failure) = failed(&log) {
                    (reply, Err(failure))
                } else {
                    return self.unmount(After::Removed(id), reply);
                }
            }
            Job::Change { id, status, log, reply } => {
                (reply, failed(&log).map(|()| self.changed(&id, status)))
            }
        };
        self.replies.push((reply, answer));
    }

    fn sandbox_made(&mut self, request: &CreateTask, maker: Maker) -> Result<Vec<u8>> {
        let namespaces = match maker.namespaces() {
            Ok(namespaces) => namespaces,
            Err(failure) => {
                self.table.remove(&request.id);
                self.shard.leave(&request.id);
                return Err(failure);
            }
        };
        let task = self.table.task_mut(&request.id)?;
        stand_in(task, Sandbox { namespaces, rootfs: request.rootfs.clone(), is_container: false });
        let pid = task.init.pid;
        self.tell_created(request, pid);
        Ok(Pid { pid }.encode_to_vec())
    }

    fn pause_made(&mut self, sandbox: &str) -> Result<()> {
        let task = self.table.task_mut(sandbox)?;
        let pid = read_pid(&pid_file(&task.bundle))?;
        if let Some(pod) = &mut task.sandbox {
            pod.namespaces.pids = Pids::Of(pid);
        }
        if let Some(exit) = self.early.remove(&(pid as i32)) {
            self.ended(sandbox, "", exit);
        }
        Ok(())
    }

    fn created(&mut self, request: &CreateTask, created: &Created) -> Result<Vec<u8>> {
        let pid = read_pid(&created.pid_file)?;
        let early = self.early.remove(&(pid as i32));
        self.take_terminal(&request.id, "", created)?;
        let task = self.table.task_mut(&request.id)?;
        task.groups = Groups::of_process(Path::new("/proc"), pid).ok();
        task.init.pid = pid;
        task.init.status = Status::Created;
        self.tell_created(request, pid);
        if let Some(exit) = early {
            self.ended(&request.id, "", exit);
        }
        Ok(Pid { pid }.encode_to_vec())
    }

    fn tell_created(&mut self, request: &CreateTask, pid: u32) {
        self.publisher.publish(&TaskCreate {
            container_id: request.id.clone(),
            bundle: request.bundle.clone(),
            rootfs: request.rootfs.clone(),
            io: Some(TaskIo {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
            }),
            pid,
        });
    }

    fn started(&mut self, id: &str) -> Result<Vec<u8>> {
        let process = &mut self.table.task_mut(id)?.init;
        process.status = Status::Running;
        let pid = process.pid;
        self.publisher.publish(&TaskStart { container_id: id.to_owned(), pid });
        Ok(Pid { pid }.encode_to_vec())
    }

    /// A process that has ended while the runtime was starting it.
    fn tell_held_exit(&mut self, id: &str, exec_id: &str) {
        let task = self.table.task_mut(id);
        let Ok(process) = task.and_then(|task| task.process_mut(exec_id)) else { return };
        process.is_starting = false;
        if let Some(exit) = process.held_exit.take() {
            self.ended(id, exec_id, exit);
        }
    }

    fn exec_started(&mut self, id: &str, exec_id: &str, created: &Created) -> Result<Vec<u8>> {
        let pid = read_pid(&created.pid_file)?;
        let early = self.early.remove(&(pid as i32));
        self.take_terminal(id, exec_id, created)?;
        let process = self.table.task_mut(id)?.process_mut(exec_id)?;
        process.pid = pid;
        process.status = Status::Running;
        let (container_id, name) = (id.to_owned(), exec_id.to_owned());
        self.publisher.publish(&TaskExecStarted { container_id, exec_id: name, pid });
        if let Some(exit) = early {
            self.ended(id, exec_id, exit);
        }
        Ok(Pid { pid }.encode_to_vec())
    }

    fn take_terminal(&mut self, id: &str, exec_id: &str, created: &Created) -> Result<()> {
        let Some(console) = &created.console else { return Ok(()) };
        let output = console.output.as_ref().map(File::try_clone).transpose();
        let output = output.tried("use", Path::new(id))?;
        let process = self.table.task_mut(id)?.process_mut(exec_id)?;
        let (terminal, keep) = Terminal::accept(&console.socket, &process.stream_names, output)?;
        process.keep_input = keep;
        let number = self.add_terminal(terminal);
        self.table.task_mut(id)?.process_mut(exec_id)?.terminal = number;
        Ok(())
    }

    /// The container is gone from the runtime; now from here.
    pub(super) fn removed(&mut self, id: &str) -> Result<Vec<u8>> {
        let task = self.table.remove(id).ok_or_else(|| Failure::not_found(id))?;
        self.shard.leave(id);
        // What was never started was killed.
        let exit = task.init.exit.unwrap_or_else(|| Exit::by(Signal::SIGKILL));
        let execs = task.execs.into_values().flat_map(|exec| exec.process.waiters);
        self.tell(task.init.waiters.into_iter().chain(execs), exit);
        let (pid, exit_status, exited_at) = (task.init.pid, exit.status, Some(exit.at));
        let container_id = id.to_owned();
        self.publisher.publish(&TaskDelete { container_id, pid, exit_status, exited_at });
        Ok(Deleted { pid, exit_status, exited_at }.encode_to_vec())
    }

    fn changed(&mut self, id: &str, status: Option<Status>) -> Vec<u8> {
        use crate::api::event::{TaskPaused, TaskResumed};
        let container_id = id.to_owned();
        if let (Some(status), Ok(task)) = (status, self.table.task_mut(id)) {
            if task.init.exit.is_none() {
                task.init.status = status;
            }
            match status {
                Status::Paused => self.publisher.publish(&TaskPaused { container_id }),
                _ => self.publisher.publish(&TaskResumed { container_id }),
            }
        }
        Empty {}.encode_to_vec()
    }

    /// Starts a call of the runtime for whose end nobody waits.
    pub(super) fn forget(&mut self, words: &[&str]) {
        let mut command = self.runtime.command();
        command.args(words);
        if let Err(failure) = self.spawn(command, stdio::none(), Job::Forgotten) {
            eprintln!("containerd-shim-wamr-crun-v1: {words:?}: {}", failure.message);
        }
    }

    /// Tells containerd of something.
    pub(super) fn publish(&mut self, event: &impl Event) {
        self.publisher.publish(event);
    }
}

fn read_pid(path: &Path) -> Result<u32> {
    let text = fs::read_to_string(path).tried("read", path)?;
    text.trim().parse().tried("read", path)
}
