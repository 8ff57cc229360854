//! Pause, Resume, Update, ResizePty and CloseIO.

use super::jobs::Job;
use super::table::Find;
use super::{Answer, ReplyTo, Tasks, encoded};
use crate::api::Empty;
use crate::api::task::{CloseIo, ProcessRequest, ResizePty, Status, UpdateTask};
use crate::error::{Code, Failure, Tried};
use crate::stdio;
use std::fs;

impl Tasks {
    pub(super) fn pause(&mut self, request: &ProcessRequest, reply: ReplyTo) -> Answer {
        self.change(&request.id, "pause", Some(Status::Paused), reply)
    }

    pub(super) fn resume(&mut self, request: &ProcessRequest, reply: ReplyTo) -> Answer {
        self.change(&request.id, "resume", Some(Status::Running), reply)
    }

    fn change(&mut self, id: &str, verb: &str, status: Option<Status>, reply: ReplyTo) -> Answer {
        let task = self.table.task(id)?;
        if task.sandbox.is_some() {
            let message = format!("{verb}: a pod of this shim has no process of its own");
            return Err(Failure::new(Code::Unimplemented, message));
        }
        let (mut command, log) = self.runtime.command_for(&task.bundle);
        command.args([verb, id]);
        let job = Job::Change { id: id.to_owned(), status, log, reply };
        self.spawn(command, stdio::none(), job)?;
        Ok(None)
    }

    pub(super) fn update(&mut self, request: UpdateTask, reply: ReplyTo) -> Answer {
        let UpdateTask { id, resources } = request;
        let task = self.table.task(&id)?;
        let Some(resources) = resources.filter(|_| task.sandbox.is_none()) else {
            // A pod's limits are in the control group above those of its containers.
            return encoded(&Empty {});
        };
        let file = task.bundle.join("resources.json");
        fs::write(&file, &resources.value).tried("write", &file)?;
        let (mut command, log) = self.runtime.command_for(&task.bundle);
        command.arg("update").arg("--resources").arg(&file).arg(&id);
        self.spawn(command, stdio::none(), Job::Change { id, status: None, log, reply })?;
        Ok(None)
    }

    pub(super) fn resize(&mut self, request: &ResizePty) -> Answer {
        let process = self.table.task(&request.id)?.process(&request.exec_id)?;
        let terminal = process.terminal.and_then(|number| self.terminals.get(&number));
        if let Some(terminal) = terminal {
            let resized = terminal.resize(request.width, request.height);
            resized.map_err(|error| {
                Failure::new(Code::FailedPrecondition, format!("resize the terminal: {error}"))
            })?;
        }
        encoded(&Empty {})
    }

    pub(super) fn close_io(&mut self, request: &CloseIo) -> Answer {
        let process = self.table.task_mut(&request.id)?.process_mut(&request.exec_id)?;
        if request.stdin {
            process.keep_input = None;
        }
        encoded(&Empty {})
    }
}
