//! State, Pids, Stats and Connect: they change nothing.

use super::table::Find;
use super::{Answer, Tasks, encoded};
use crate::api::Any;
use crate::api::task::{Connected, Pids, ProcessInfo, ProcessRequest, State, Stats};
use crate::error::{Code, Failure};
use crate::stats;

impl Tasks {
    pub(super) fn state(&self, request: &ProcessRequest) -> Answer {
        let task = self.table.task(&request.id)?;
        let process = task.process(&request.exec_id)?;
        encoded(&State {
            id: request.id.clone(),
            bundle: task.bundle.display().to_string(),
            pid: process.pid,
            status: process.status as i32,
            stdin: process.stream_names.stdin.to_string(),
            stdout: process.stream_names.stdout.to_string(),
            stderr: process.stream_names.stderr.to_string(),
            terminal: process.stream_names.terminal,
            exit_status: process.exit.map_or(0, |exit| exit.status),
            exited_at: process.exit.map(|exit| exit.at),
            exec_id: request.exec_id.clone(),
        })
    }

    pub(super) fn pids(&self, request: &ProcessRequest) -> Answer {
        let task = self.table.task(&request.id)?;
        let listed = task.groups.as_ref().and_then(|groups| stats::processes(groups).ok());
        // containerd takes a task without processes for one that is gone.
        let pids = listed.filter(|pids| !pids.is_empty()).unwrap_or_else(|| vec![task.init.pid]);
        let processes = pids.into_iter().map(|pid| ProcessInfo { pid }).collect();
        encoded(&Pids { processes })
    }

    pub(super) fn stats(&self, request: &ProcessRequest) -> Answer {
        let task = self.table.task(&request.id)?;
        let Some(groups) = &task.groups else {
            let message = format!("{} has no control groups of its own", request.id);
            return Err(Failure::new(Code::NotFound, message));
        };
        let metrics = stats::metrics(groups).map_err(|error| {
            Failure::new(Code::NotFound, format!("control groups of {}: {error}", request.id))
        })?;
        let stats = Any { type_url: metrics.type_url.to_owned(), value: metrics.value };
        encoded(&Stats { stats: Some(stats) })
    }

    pub(super) fn connect(&self, request: &ProcessRequest) -> Answer {
        let task_pid = self.table.task(&request.id)?.init.pid;
        encoded(&Connected { shim_pid: std::process::id(), task_pid })
    }
}
