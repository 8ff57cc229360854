//! Children that are waited for.

use crate::api::task::Status;
use crate::error::{Code, Failure, Result};
use crate::handover::descriptors::{Kept, claim_any};
use crate::handover::saved::{self, Kind};
use crate::logger::Writers;
use crate::runtime_cli::Log;
use crate::sandbox::Maker;
use crate::task::create::Console;
use crate::task::jobs::{Created, Job};
use crate::task::prepare::{After, Next};
use crate::worker::Worker;
use std::path::Path;

impl Job {
    /// For the next program.
    pub fn save<'a>(&'a self, pid: i32, kept: &mut Kept<'a>) -> saved::Job {
        let mut saved = saved::Job { pid, ..saved::Job::default() };
        let kind = match self {
            // A trial that has not ended: no other program is run before.
            Self::Forgotten | Self::Trial { .. } => Kind::Forgotten,
            Self::Sandbox { request, maker, reply } => {
                let (fd, known) = maker.save(kept);
                (saved.answer_fd, saved.sandbox) = (Some(fd), Some(known));
                (saved.request, saved.reply) = (Some(request.clone()), Some(*reply));
                Kind::Sandbox
            }
            Self::Prepare { next, worker, writers, reply } => {
                saved.answer_fd = Some(worker.save(kept));
                saved.output_fd = kept.keep_any(writers.as_ref().map(|pipes| &pipes.output));
                saved.error_fd = kept.keep_any(writers.as_ref().map(|pipes| &pipes.error));
                saved.reply = Some(*reply);
                save_next(next, &mut saved)
            }
            Self::Late { bundle } => {
                saved.path = text(bundle);
                Kind::Late
            }
            Self::Unmount { after, reply } => {
                saved.reply = Some(*reply);
                match after {
                    After::Removed(id) => {
                        saved.id.clone_from(id);
                        Kind::UnmountRemoved
                    }
                    After::Failed(failure) => {
                        saved.failure = Some(failure.status());
                        Kind::UnmountFailed
                    }
                }
            }
            Self::Pause { sandbox, request, log, reply } => {
                save_call(&mut saved, sandbox, log, *reply);
                saved.request = Some((**request).clone());
                Kind::Pause
            }
            Self::Create { request, created, reply } => {
                save_call(&mut saved, &request.id, &created.log, *reply);
                created.save(&mut saved, kept);
                saved.request = Some(request.clone());
                Kind::Create
            }
            Self::Start { id, log, reply } => {
                save_call(&mut saved, id, log, *reply);
                Kind::Start
            }
            Self::Exec { id, exec_id, created, spec, reply } => {
                save_call(&mut saved, id, &created.log, *reply);
                created.save(&mut saved, kept);
                (saved.exec_id, saved.path) = (exec_id.clone(), text(spec));
                Kind::Exec
            }
            Self::Delete { id, log, reply } => {
                save_call(&mut saved, id, log, *reply);
                Kind::Delete
            }
            Self::Change { id, status, log, reply } => {
                save_call(&mut saved, id, log, *reply);
                saved.status = status.map(|status| status as i32);
                Kind::Change
            }
        };
        saved.kind = kind;
        saved
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(mut saved: saved::Job) -> Result<Self> {
        let kind = saved.kind;
        let reply = saved.reply.unwrap_or_default();
        let request = saved.request.take().unwrap_or_default();
        let log = Log::restored(std::mem::take(&mut saved.log), saved.log_begin_bytes);
        let id = saved.id.clone();
        Ok(match kind {
            Kind::Forgotten => Self::Forgotten,
            Kind::Sandbox => {
                let known = saved.sandbox.unwrap_or_default();
                let answer_fd = saved.answer_fd.ok_or_else(unreadable)?;
                let maker = Maker::restore(saved.pid, answer_fd, &known)?;
                Self::Sandbox { request, maker, reply }
            }
            Kind::PrepareContainer | Kind::PreparePause | Kind::PrepareExec => {
                let worker = Worker::restore(saved.pid, saved.answer_fd.ok_or_else(unreadable)?)?;
                let pipes = claim_any(saved.output_fd)?.zip(claim_any(saved.error_fd)?);
                let writers = pipes.map(|(output, error)| Writers { output, error });
                let next = match kind {
                    Kind::PrepareContainer => Next::Container(request),
                    Kind::PreparePause => Next::Pause { sandbox: id, request: Box::new(request) },
                    _ => Next::Exec { id, exec_id: saved.exec_id },
                };
                Self::Prepare { next, worker, writers, reply }
            }
            Kind::Late => Self::Late { bundle: Path::new(&saved.path).into() },
            Kind::UnmountRemoved => Self::Unmount { after: After::Removed(id), reply },
            Kind::UnmountFailed => {
                let failure = Failure::told(saved.failure.unwrap_or_default());
                Self::Unmount { after: After::Failed(failure), reply }
            }
            Kind::Pause => Self::Pause { sandbox: id, request: Box::new(request), log, reply },
            Kind::Create => Self::Create { request, created: Created::restore(saved, log)?, reply },
            Kind::Start => Self::Start { id, log, reply },
            Kind::Exec => {
                let (exec_id, spec) = (saved.exec_id.clone(), saved.path.clone().into());
                Self::Exec { id, exec_id, created: Created::restore(saved, log)?, spec, reply }
            }
            Kind::Delete => Self::Delete { id, log, reply },
            Kind::Change => {
                let status = saved.status.and_then(|status| Status::try_from(status).ok());
                Self::Change { id, status, log, reply }
            }
        })
    }
}

impl Created {
    fn save<'a>(&'a self, saved: &mut saved::Job, kept: &mut Kept<'a>) {
        saved.pid_file = text(&self.pid_file);
        saved.console = self.console.as_ref().map(|console| console.save(kept));
    }

    fn restore(saved: saved::Job, log: Log) -> Result<Self> {
        let console = saved.console.map(Console::restore).transpose()?;
        Ok(Self { pid_file: saved.pid_file.into(), log, console })
    }
}

fn save_next(next: &Next, saved: &mut saved::Job) -> Kind {
    match next {
        Next::Container(request) => {
            saved.request = Some(request.clone());
            Kind::PrepareContainer
        }
        Next::Pause { sandbox, request } => {
            saved.id.clone_from(sandbox);
            saved.request = Some((**request).clone());
            Kind::PreparePause
        }
        Next::Exec { id, exec_id } => {
            (saved.id, saved.exec_id) = (id.clone(), exec_id.clone());
            Kind::PrepareExec
        }
    }
}

/// What all calls of the runtime have.
fn save_call(saved: &mut saved::Job, id: &str, log: &Log, reply: saved::ReplyTo) {
    id.clone_into(&mut saved.id);
    (saved.log, saved.log_begin_bytes) = log.saved();
    saved.reply = Some(reply);
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable() -> Failure {
    Failure::new(Code::FailedPrecondition, "the state has a job without where it answers")
}
