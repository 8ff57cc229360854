//! Start, Kill, Wait and Delete.

use super::jobs::Job;
use super::table::{Exit, Find};
use super::{Answer, ReplyTo, Tasks, encoded};
use crate::api::Empty;
use crate::api::event::TaskStart;
use crate::api::task::{Deleted, Kill, Pid, ProcessRequest, Status};
use crate::error::{Code, Failure};
use crate::stdio;
use crate::sys;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid as ProcessId;

/// Signals that end a pod without a pause process; the pause process ends with them, too.
const ENDING: [Signal; 5] =
    [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP];

impl Tasks {
    pub(super) fn start(&mut self, request: &ProcessRequest, reply: ReplyTo) -> Answer {
        let ProcessRequest { id, exec_id } = request;
        let process = self.table.task(id)?.process(exec_id)?;
        let startable = if exec_id.is_empty() { Status::Created } else { Status::Unknown };
        if process.status != startable || process.is_starting {
            let message = format!("task {id} {exec_id}: it was started, or has ended");
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        if !exec_id.is_empty() {
            return self.start_exec(id, exec_id, reply);
        }
        let task = self.table.task_mut(id)?;
        if task.sandbox.is_some() {
            task.init.status = Status::Running;
            let pid = task.init.pid;
            self.publish(&TaskStart { container_id: id.clone(), pid });
            return encoded(&Pid { pid });
        }
        let (mut command, log) = self.runtime.command_for(&task.bundle);
        command.args(["start", id]);
        self.spawn(command, stdio::none(), Job::Start { id: id.clone(), log, reply })?;
        self.table.task_mut(id)?.init.is_starting = true;
        Ok(None)
    }

    pub(super) fn kill(&mut self, request: &Kill, reply: ReplyTo) -> Answer {
        let Kill { id, exec_id, signal, all } = request;
        let task = self.table.task(id)?;
        let process = task.process(exec_id)?;
        if process.exit.is_some() || process.pid == 0 {
            return Err(Failure::not_found(format_args!("a process of {id} that runs")));
        }
        let number = i32::try_from(*signal).unwrap_or(-1);
        if let Some(pod) = &task.sandbox {
            if let Some(signal) = ENDING.iter().find(|signal| **signal as i32 == number) {
                if let Some(pause) = pod.namespaces.pause() {
                    // It may have ended by itself.
                    kill(ProcessId::from_raw(pause as i32), *signal).ok();
                }
                self.ended(id, "", Exit::by(*signal));
            }
            return encoded(&Empty {});
        }
        // What is frozen has to be thawed, and what is many to be found: the runtime does both.
        if *all || process.status == Status::Paused {
            let (mut command, log) = self.runtime.command_for(&task.bundle);
            command.arg("kill").args(all.then_some("--all")).arg(id).arg(signal.to_string());
            let job = Job::Change { id: id.clone(), status: None, log, reply };
            self.spawn(command, stdio::none(), job)?;
            return Ok(None);
        }
        // The number is still that process': it is reaped by nobody but this thread.
        match sys::send_signal(ProcessId::from_raw(process.pid as i32), number) {
            Ok(()) => encoded(&Empty {}),
            Err(Errno::ESRCH) => Err(Failure::not_found(format_args!("process {}", process.pid))),
            Err(errno) => {
                let message = format!("signal {signal} to process {}: {errno}", process.pid);
                Err(Failure::new(Code::InvalidArgument, message))
            }
        }
    }

    pub(super) fn wait(&mut self, request: &ProcessRequest, reply: ReplyTo) -> Answer {
        let process = self.table.task_mut(&request.id)?.process_mut(&request.exec_id)?;
        let Some(exit) = process.exit else {
            process.waiters.push(reply);
            return Ok(None);
        };
        encoded(&exit.answer())
    }

    pub(super) fn delete(&mut self, request: &ProcessRequest, reply: ReplyTo) -> Answer {
        let ProcessRequest { id, exec_id } = request;
        let task = self.table.task_mut(id)?;
        let process = task.process(exec_id)?;
        // A container that was made, or a further process that was described, may go unstarted.
        let unstarted = if exec_id.is_empty() { Status::Created } else { Status::Unknown };
        if process.exit.is_none() && (process.status != unstarted || process.is_starting) {
            let message = format!("task {id} {exec_id} still runs, or is being made");
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        if !exec_id.is_empty() {
            let process = task.execs.remove(exec_id.as_str()).map(|exec| exec.process);
            let exit = process.as_ref().and_then(|process| process.exit);
            return encoded(&Deleted {
                pid: process.map_or(0, |process| process.pid),
                exit_status: exit.map_or(0, |exit| exit.status),
                exited_at: exit.map(|exit| exit.at),
            });
        }
        if task.sandbox.as_ref().is_some_and(|pod| !pod.is_container) {
            return self.removed(id).map(Some);
        }
        // What has not ended was never started, or is the process of a pod.
        let forced = task.init.exit.is_none() || task.sandbox.is_some();
        let (mut command, log) = self.runtime.command_for(&task.bundle);
        command.arg("delete").args(forced.then_some("--force")).arg(id);
        self.spawn(command, stdio::none(), Job::Delete { id: id.clone(), log, reply })?;
        Ok(None)
    }
}
