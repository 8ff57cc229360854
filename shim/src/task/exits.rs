//! Ends of children, in whatever order the kernel tells them.

use super::table::{Exit, Find, Process};
use super::{ReplyTo, Tasks};
use crate::api::Timestamp;
use crate::api::event::{TaskExit, TaskOom};
use crate::api::task::{Status, signalled};
use crate::stats::oom;
use crate::sys;
use prost::Message;

impl Tasks {
    /// Takes all children that have ended. Orphans of containers without a PID namespace of their
    /// own are among them.
    pub fn reap(&mut self) {
        self.must_reap = false;
        while let Some((pid, status)) = sys::reap() {
            let exit = Exit { status, at: Timestamp::now() };
            if let Some(job) = self.jobs.remove(&pid) {
                self.deadlines.retain(|(_, waited_for)| *waited_for != pid);
                self.finish(job, &Ok(exit.status));
            } else if let Some((id, exec_id)) = self.process_of(pid as u32) {
                self.ended(&id, &exec_id, exit);
            } else {
                self.early.insert(pid, exit);
            }
        }
        if self.jobs.is_empty() {
            self.early.clear();
        }
    }

    /// As [`Tasks::reap`], if a signal may have been missed.
    pub fn reap_missed(&mut self) {
        while self.must_reap {
            self.reap();
        }
    }

    /// Whose process it is. The number of one that has ended may be another's by now. A pod ends
    /// with its pause process.
    fn process_of(&self, pid: u32) -> Option<(String, String)> {
        let is_it = |process: &Process| process.pid == pid && process.exit.is_none();
        self.table.iter().find_map(|(id, task)| {
            let pause = task.sandbox.as_ref().and_then(|pod| pod.namespaces.pause());
            if is_it(&task.init) || pause == Some(pid) {
                return Some((id.clone(), String::new()));
            }
            let exec = task.execs.iter().find(|(_, exec)| is_it(&exec.process))?;
            Some((id.clone(), exec.0.to_string()))
        })
    }

    /// A process has ended: containerd is told, and whoever waits.
    pub(super) fn ended(&mut self, id: &str, exec_id: &str, exit: Exit) {
        let Ok(task) = self.table.task_mut(id) else { return };
        if let Some(pod) = &mut task.sandbox {
            // Its number is nobody's any more, or will be soon.
            pod.namespaces.forget_pause();
        }
        let of_memory = exec_id.is_empty()
            && exit.status == signalled(libc::SIGKILL)
            && task.groups.as_ref().is_some_and(oom::killed);
        let kills_others = exec_id.is_empty() && !task.has_own_pids && task.sandbox.is_none();
        let Ok(process) = task.process_mut(exec_id) else { return };
        if process.exit.is_some() {
            return;
        }
        if process.is_starting {
            process.held_exit = Some(exit);
            return;
        }
        process.status = Status::Stopped;
        process.exit = Some(exit);
        process.keep_input = None;
        let (pid, waiters) = (process.pid, std::mem::take(&mut process.waiters));
        if let Some(terminal) = process.terminal {
            self.pump(terminal);
        }
        let container_id = id.to_owned();
        if of_memory {
            self.publish(&TaskOom { container_id: container_id.clone() });
        }
        let name = if exec_id.is_empty() { id } else { exec_id };
        let (exit_status, exited_at) = (exit.status, Some(exit.at));
        self.publish(&TaskExit { container_id, id: name.to_owned(), pid, exit_status, exited_at });
        self.tell(waiters, exit);
        if kills_others {
            // In the PID namespace of others the kernel leaves its further processes alone.
            self.forget(&["kill", "--all", id, "KILL"]);
        }
    }

    /// Answers those who wait for a process.
    pub(super) fn tell(&mut self, waiters: impl IntoIterator<Item = ReplyTo>, exit: Exit) {
        let answer = exit.answer().encode_to_vec();
        self.replies.extend(waiters.into_iter().map(|waiter| (waiter, Ok(answer.clone()))));
    }
}
