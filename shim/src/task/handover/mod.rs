//! What this process serves, for the program that takes it over, and from the one before.

mod jobs;
mod tasks;

use super::Tasks;
use super::jobs::Job;
use super::table::{Exit, Task};
use super::waiting::Waiting;
use crate::error::{Code, Failure, Result};
use crate::handover::descriptors::Kept;
use crate::handover::file::Writer;
use crate::handover::saved::{self, Body};
use crate::open_files::OpenFiles;
use crate::terminal::Terminal;
use std::time::{Duration, Instant};

impl Tasks {
    /// What there is once.
    pub fn save_once<'a>(&'a self, once: &mut saved::Once, kept: &mut Kept<'a>) {
        once.next_terminal = self.next_terminal;
        (once.soft_limit, once.hard_limit, once.is_raised) = self.open_files.saved();
        self.publisher.save(once, kept);
    }

    /// All else.
    ///
    /// # Errors
    /// No memory is left.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>, writer: &mut Writer) -> Result<()> {
        for (id, task) in &self.table {
            writer.put(&Body::Task(Box::new(task.save(id, kept))))?;
        }
        for (pid, job) in &self.jobs {
            let deadline = self.deadlines.iter().find(|(_, waited_for)| waited_for == pid);
            let left = deadline.map(|(at, _)| at.saturating_duration_since(Instant::now()));
            let patience_ms = left.map(|left| left.as_millis() as u64);
            let job = saved::Job { patience_ms, ..job.save(*pid, kept) };
            writer.put(&Body::Job(Box::new(job)))?;
        }
        for waiting in &self.waiting {
            writer.put(&Body::Waiting(Box::new(waiting.save(kept))))?;
        }
        for (&pid, &exit) in &self.early {
            writer.put(&Body::Early(saved::Early { pid, exit: Some(exit.save()) }))?;
        }
        for (number, terminal) in &self.terminals {
            writer.put(&Body::Terminal(terminal.save(*number, kept)))?;
        }
        self.publisher.save_queue(writer)
    }

    /// What [`Tasks::save_once`] has saved.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore_once(&mut self, once: &mut saved::Once) -> Result<()> {
        self.next_terminal = once.next_terminal;
        self.open_files = OpenFiles::restored(once.soft_limit, once.hard_limit, once.is_raised);
        self.publisher.restore(once, &self.poll)
    }

    /// A piece of what [`Tasks::save`] has saved.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(&mut self, body: Body) -> Result<()> {
        match body {
            Body::Task(mut saved) => {
                let id = std::mem::take(&mut saved.id);
                drop(self.table.insert(id, Task::restore(*saved)?));
            }
            Body::Job(saved) => {
                let (pid, patience_ms) = (saved.pid, saved.patience_ms);
                self.jobs.insert(pid, Job::restore(*saved)?);
                let left = patience_ms.map(Duration::from_millis);
                self.deadlines.extend(left.map(|left| (Instant::now() + left, pid)));
            }
            Body::Waiting(saved) => {
                let waiting = Waiting::restore(*saved, self.runtime.program())?;
                self.waiting.push(waiting);
            }
            Body::Early(saved::Early { pid, exit }) => {
                self.early.extend(exit.map(|exit| (pid, Exit::restore(exit))));
            }
            Body::Terminal(saved) => {
                let number = saved.number;
                // One that cannot be waited for is closed, as it is when it is new.
                let _is_watched = self.watch_terminal(number, Terminal::restore(saved)?);
            }
            Body::Event(call) => self.publisher.restore_event(call),
            Body::Once(_) | Body::Connection(_) | Body::End(_) => {
                let message = "the state has a part where it cannot be";
                return Err(Failure::new(Code::FailedPrecondition, message));
            }
        }
        Ok(())
    }

    /// When all is there: what has happened since the program before has looked.
    pub fn catch_up(&mut self) {
        self.must_reap = true;
        let terminals: Vec<u32> = self.terminals.keys().copied().collect();
        for number in terminals {
            self.pump(number);
        }
        self.reap_missed();
    }
}
