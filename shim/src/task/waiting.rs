//! Calls of the runtime that wait for the reader of what their process is going to write.
//!
//! containerd opens its end of a FIFO at its leisure. A process that has ended by then would leave
//! nothing to read, so none is made before; containerd's own shim waits as well.

use super::Tasks;
use super::jobs::Job;
use super::table::Exit;
use crate::api::Timestamp;
use crate::error::Result;
use crate::stdio::Streams;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time between two looks: nobody tells when a FIFO is opened.
const PAUSE: Duration = Duration::from_millis(5);

/// A reader that has not come after this time will not; the process is made without.
const PATIENCE: Duration = Duration::from_secs(30);

/// As of a command that cannot be executed.
const NOT_STARTED: u32 = 126;

/// A call that has not been started.
#[derive(Debug)]
pub struct Waiting {
    command: Command,
    streams: Streams,
    job: Job,
    since: Instant,
}

impl Tasks {
    /// Starts a call of the runtime, when its output is read; `job` is done when it has ended.
    pub(super) fn spawn(
        &mut self,
        command: Command,
        mut streams: Streams,
        mut job: Job,
    ) -> Result<()> {
        if streams.are_open(false)? {
            let child = self.launch(command, streams, &mut job)?;
            self.jobs.insert(child, job);
            return Ok(());
        }
        self.waiting.push(Waiting { command, streams, job, since: Instant::now() });
        Ok(())
    }

    /// Starts what need not wait any more.
    pub fn start_waiting(&mut self) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            let open = waiting.streams.are_open(waiting.since.elapsed() >= PATIENCE);
            if matches!(open, Ok(false)) {
                self.waiting.push(waiting);
                continue;
            }
            let Waiting { command, streams, mut job, .. } = waiting;
            match open.and_then(|_| self.launch(command, streams, &mut job)) {
                Ok(child) => drop(self.jobs.insert(child, job)),
                Err(failure) => {
                    eprintln!("containerd-shim-wamr-crun-v1: {}", failure.message);
                    self.finish(job, Exit { status: NOT_STARTED, at: Timestamp::now() });
                }
            }
        }
    }

    /// How long the next look may be put off.
    pub fn patience(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(PAUSE)
    }
}
