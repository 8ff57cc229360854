//! What may take for ever, in processes of their own: mounting a root file system, starting a
//! logger, unmounting. Other pods do not notice; who has asked is answered after a while in any
//! case.

use super::jobs::Job;
use super::table::Find;
use super::{Answer, ReplyTo, Tasks};
use crate::api::task::{CreateTask, Mount};
use crate::error::{Code, Failure, Result};
use crate::logger::{self, Logger, Writers};
use crate::{mounts, worker};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Storage that has not answered by then is taken for dead, and a logger for one that never will.
const PREPARE_PATIENCE: Duration = Duration::from_secs(20);

/// The mounts are out of sight by then, if not before; what the kernel still has to do with them
/// is no reason to keep containerd waiting.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(5);

/// What is made when what it needs is there.
#[derive(Debug)]
pub enum Next {
    /// A container.
    Container(CreateTask),
    /// A pod's pause process, and then the container that needs it.
    Pause { sandbox: String, request: Box<CreateTask> },
    /// A further process.
    Exec { id: String, exec_id: String },
}

/// What is answered when a root file system is unmounted.
#[derive(Debug)]
pub enum After {
    /// The container is gone.
    Removed(String),
    /// It could not be made.
    Failed(Failure),
}

impl Tasks {
    /// Mounts a root file system and starts a logger; then comes `next`.
    pub(super) fn prepare(
        &mut self,
        bundle: &Path,
        rootfs: &[Mount],
        logger: Option<&Logger>,
        next: Next,
        reply: ReplyTo,
    ) -> Result<()> {
        let root = bundle.join("rootfs");
        let (writers, readers) = match logger {
            Some(_) => Some(logger::pipes()?).unzip(),
            None => (None, None),
        };
        let fds = readers.as_ref().map(|readers| [readers.output.as_fd(), readers.error.as_fd()]);
        let worker =
            worker::start(fds.as_ref().map(<[_; 2]>::as_slice).unwrap_or_default(), || {
                mounts::mount_all(rootfs, &root)?;
                let Some((logger, readers)) = logger.zip(readers.as_ref()) else {
                    return Ok(());
                };
                logger.run(readers).inspect_err(|_| mounts::unmount(&root))
            })?;
        let pid = worker.pid;
        self.wait_until(PREPARE_PATIENCE, pid, Job::Prepare { next, worker, writers, reply });
        Ok(())
    }

    /// Notes a child with a limit of time.
    pub(super) fn wait_until(&mut self, patience: Duration, pid: Pid, job: Job) {
        self.jobs.insert(pid.as_raw(), job);
        self.deadlines.push((Instant::now() + patience, pid.as_raw()));
    }

    /// Makes what was prepared for.
    pub(super) fn go_on(&mut self, next: Next, writers: Option<Writers>, reply: ReplyTo) -> Answer {
        match next {
            Next::Container(request) => self.run_create(request, writers, reply),
            Next::Pause { sandbox, request } => self.run_pause(&sandbox, request, reply),
            Next::Exec { id, exec_id } => self.run_exec(&id, &exec_id, writers, reply),
        }
    }

    pub(super) fn prepared(
        &mut self,
        next: Next,
        outcome: Result<()>,
        writers: Option<Writers>,
        reply: ReplyTo,
    ) {
        let whose = Whose::of(&next);
        match outcome.and_then(|()| self.go_on(next, writers, reply)) {
            Ok(None) => {}
            Ok(Some(answer)) => self.replies.push((reply, Ok(answer))),
            Err(failure) => self.unprepared(&whose, failure, reply),
        }
    }

    fn unprepared(&mut self, whose: &Whose, failure: Failure, reply: ReplyTo) {
        match whose {
            Whose::Container(id) => self.discard(id, failure, reply),
            Whose::Pause(sandbox) => {
                if let Ok(task) = self.table.task_mut(sandbox) {
                    task.is_mounted = false;
                    let bundle = task.bundle.clone();
                    self.unmount_unheard(&bundle);
                }
                self.replies.push((reply, Err(failure)));
            }
            Whose::Process(id, exec_id) => {
                let task = self.table.task_mut(id);
                if let Ok(process) = task.and_then(|task| task.process_mut(exec_id)) {
                    process.is_starting = false;
                }
                self.replies.push((reply, Err(failure)));
            }
        }
    }

    /// A container could not be made.
    pub(super) fn discard(&mut self, id: &str, failure: Failure, reply: ReplyTo) {
        let task = self.table.remove(id);
        self.shard.leave(id);
        match task.filter(|task| task.is_mounted) {
            Some(task) => self.start_unmounting(&task.bundle, After::Failed(failure), reply),
            None => self.replies.push((reply, Err(failure))),
        }
    }

    /// Unmounts the root file system of a container that is gone from the runtime.
    pub(super) fn unmount(&mut self, after: After, reply: ReplyTo) {
        let bundle = match &after {
            After::Removed(id) => self.table.task(id).ok().filter(|task| task.is_mounted),
            After::Failed(_) => None,
        };
        if let Some(bundle) = bundle.map(|task| task.bundle.clone()) {
            self.start_unmounting(&bundle, after, reply);
        } else {
            let answer = self.unmounted(after);
            self.replies.push((reply, answer));
        }
    }

    fn start_unmounting(&mut self, bundle: &Path, after: After, reply: ReplyTo) {
        match unmounter(bundle) {
            Ok(pid) => self.wait_until(UNMOUNT_PATIENCE, pid, Job::Unmount { after, reply }),
            Err(failure) => {
                // containerd does it when it removes the bundle.
                eprintln!("containerd-shim-wamr-crun-v1: unmount: {}", failure.message);
                let answer = self.unmounted(after);
                self.replies.push((reply, answer));
            }
        }
    }

    /// Unmounts, and nobody waits for it.
    pub(super) fn unmount_unheard(&mut self, bundle: &Path) {
        if let Ok(pid) = unmounter(bundle) {
            self.jobs.insert(pid.as_raw(), Job::Forgotten);
        }
    }

    pub(super) fn unmounted(&mut self, after: After) -> Result<Vec<u8>> {
        match after {
            After::Removed(id) => self.removed(&id),
            After::Failed(failure) => Err(failure),
        }
    }

    /// How long nothing is late.
    pub fn until_late(&self) -> Option<Duration> {
        let first = self.deadlines.iter().map(|(at, _)| *at).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Answers those who have waited long enough. A process that waits for dead storage may not
    /// even heed SIGKILL, so it is left to end when it can.
    pub fn give_up_late(&mut self) {
        let now = Instant::now();
        while let Some(index) = self.deadlines.iter().position(|(at, _)| *at <= now) {
            let (_, pid) = self.deadlines.swap_remove(index);
            let Some(job) = self.jobs.remove(&pid) else { continue };
            let late = match job {
                Job::Prepare { next, reply, .. } => self.late(&Whose::of(&next), pid, reply),
                Job::Unmount { after, reply } => {
                    eprintln!(
                        "containerd-shim-wamr-crun-v1: process {pid} has been unmounting for {} \
                         seconds: it is left to it",
                        UNMOUNT_PATIENCE.as_secs()
                    );
                    let answer = self.unmounted(after);
                    self.replies.push((reply, answer));
                    Job::Forgotten
                }
                Job::Trial { upgrade, .. } => {
                    self.trial_is_late(&upgrade, pid);
                    Job::Forgotten
                }
                other => other,
            };
            self.jobs.insert(pid, late);
        }
    }

    fn late(&mut self, whose: &Whose, pid: i32, reply: ReplyTo) -> Job {
        let (Whose::Container(id) | Whose::Pause(id) | Whose::Process(id, _)) = whose;
        let bundle = self.table.task(id).map(|task| task.bundle.clone());
        let message = format!(
            "{id}: mounting its root file system and starting its logger take longer than {} \
             seconds (process {pid}): is the storage there?",
            PREPARE_PATIENCE.as_secs()
        );
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        if let Ok(task) = self.table.task_mut(id) {
            // That is for when the process has ended.
            task.is_mounted &= matches!(whose, Whose::Process(..));
        }
        self.unprepared(whose, Failure::new(Code::Unknown, message), reply);
        match (whose, bundle) {
            (Whose::Container(_) | Whose::Pause(_), Ok(bundle)) => Job::Late { bundle },
            _ => Job::Forgotten,
        }
    }
}

/// Whom a [`Next`] is for.
enum Whose {
    Container(String),
    Pause(String),
    Process(String, String),
}

impl Whose {
    fn of(next: &Next) -> Self {
        match next {
            Next::Container(request) => Self::Container(request.id.clone()),
            Next::Pause { sandbox, .. } => Self::Pause(sandbox.clone()),
            Next::Exec { id, exec_id } => Self::Process(id.clone(), exec_id.clone()),
        }
    }
}

fn unmounter(bundle: &Path) -> Result<Pid> {
    let root = bundle.join("rootfs");
    let worker = worker::start(&[], || {
        mounts::unmount(&root);
        Ok(())
    })?;
    Ok(worker.pid)
}
