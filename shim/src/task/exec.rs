//! Exec: further processes of a container.

use super::jobs::{Created, Job};
use super::prepare::Next;
use super::table::{Exec, Find, Process};
use super::{Answer, ReplyTo, Tasks, encoded};
use crate::api::Empty;
use crate::api::event::TaskExecAdded;
use crate::api::task::ExecProcess;
use crate::arguments::is_name;
use crate::error::{Code, Failure, Tried};
use crate::fifo_owner;
use crate::logger::{Logger, Writers};
use crate::spec::User;
use crate::stdio::StreamNames;
use serde_json::Value;
use std::fs;

impl Tasks {
    /// Describes a process; `Start` starts it.
    pub(super) fn exec(&mut self, request: ExecProcess) -> Answer {
        let ExecProcess { id, exec_id, terminal, stdin, stdout, stderr, spec } = request;
        let task = self.table.task_mut(&id)?;
        is_name(&exec_id).map_err(|reason| {
            Failure::new(Code::InvalidArgument, format!("process {exec_id:?}: {reason}"))
        })?;
        if task.sandbox.is_some() {
            let message = "a pod of this shim has no process of its own to run others beside";
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        if task.execs.contains_key(exec_id.as_str()) {
            let message = format!("process {exec_id} is there already");
            return Err(Failure::new(Code::AlreadyExists, message));
        }
        let stream_names = StreamNames {
            stdin: stdin.into(),
            stdout: stdout.into(),
            stderr: stderr.into(),
            terminal,
        };
        let spec = spec.map(|any| any.value).unwrap_or_default().into();
        task.execs
            .insert(exec_id.as_str().into(), Exec { process: Process::new(stream_names), spec });
        self.publish(&TaskExecAdded { container_id: id, exec_id });
        encoded(&Empty {})
    }

    pub(super) fn start_exec(&mut self, id: &str, exec_id: &str, reply: ReplyTo) -> Answer {
        let task = self.table.task(id)?;
        let names = &task.process(exec_id)?.stream_names;
        let logger = Logger::of(names, exec_id, self.publisher.namespace())?;
        let next = Next::Exec { id: id.to_owned(), exec_id: exec_id.to_owned() };
        if logger.is_none() {
            return self.go_on(next, None, reply);
        }
        let bundle = task.bundle.clone();
        self.prepare(&bundle, &[], logger.as_ref(), next, reply)?;
        self.table.task_mut(id)?.process_mut(exec_id)?.is_starting = true;
        Ok(None)
    }

    /// As [`Tasks::start_exec`], when its logger is there.
    pub(super) fn run_exec(
        &mut self,
        id: &str,
        exec_id: &str,
        writers: Option<Writers>,
        reply: ReplyTo,
    ) -> Answer {
        let task = self.table.task(id)?;
        let process = task.process(exec_id)?;
        let bundle = &task.bundle;
        let file = bundle.join(format!("exec-{exec_id}.json"));
        let pid_file = bundle.join(format!("exec-{exec_id}.pid"));
        let spec = task.execs.get(exec_id).map(|exec| &*exec.spec).unwrap_or_default();
        fs::write(&file, spec).tried("write", &file)?;
        // The runtime says what is wrong with it.
        let described: Option<Value> = serde_json::from_slice(spec).ok();
        fifo_owner::give(&process.stream_names, User::of(described.as_ref()), &task.id_maps);
        let (mut command, log) = self.runtime.command_for(bundle);
        command.args(["exec", "--detach", "--process"]).arg(&file);
        command.arg("--pid-file").arg(&pid_file);
        let (mut streams, console) = self.streams(&mut command, &process.stream_names, writers)?;
        let keep_input = streams.keep_input.take();
        command.arg(id);
        let created = Created { pid_file, log, console };
        let (of, name) = (id.to_owned(), exec_id.to_owned());
        self.spawn(
            command,
            streams,
            Job::Exec { id: of, exec_id: name, created, spec: file, reply },
        )?;
        let process = self.table.task_mut(id)?.process_mut(exec_id)?;
        process.keep_input = keep_input;
        process.is_starting = true;
        Ok(None)
    }
}
