//! Calls of the runtime that wait for the reader of what their process is going to write.
//!
//! containerd opens its end of a FIFO at its leisure. A process that has ended by then would leave
//! nothing to read, so none is made before; containerd's own shim waits as well.

use super::Tasks;
use super::jobs::Job;
use crate::error::{Code, Failure, Result};
use crate::handover::descriptors::{Kept, claim_any};
use crate::handover::saved;
use crate::stdio::{Output, Streams};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time between two looks: nobody tells when a FIFO is opened.
const PAUSE: Duration = Duration::from_millis(5);

/// A reader that has not come after this time will not; containerd's own shim has the same.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that has not been started.
#[derive(Debug)]
pub struct Waiting {
    command: Command,
    streams: Streams,
    job: Job,
    since: Instant,
}

impl Waiting {
    /// For the next program.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> saved::Waiting {
        let Streams { input, output, error, shown, .. } = &self.streams;
        saved::Waiting {
            arguments: self.command.get_args().map(|word| word.as_bytes().to_vec()).collect(),
            job: Some(self.job.save(0, kept)),
            since_ms: self.since.elapsed().as_millis() as u64,
            input_fd: kept.keep_any(input.as_ref()),
            outputs: [output, error, shown].map(|output| output.save(kept)).into(),
        }
    }

    /// As the program before has had it; the runtime may be another now.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: saved::Waiting, program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(saved.arguments.into_iter().map(OsString::from_vec));
        let mut outputs = saved.outputs.into_iter().map(Output::restore);
        let mut output = || outputs.next().transpose().map(|output| output.unwrap_or(Output::Null));
        let streams = Streams {
            output: output()?,
            error: output()?,
            shown: output()?,
            input: claim_any(saved.input_fd)?,
            keep_input: None,
        };
        let since = Instant::now().checked_sub(Duration::from_millis(saved.since_ms));
        Ok(Self {
            command,
            streams,
            job: Job::restore(saved.job.unwrap_or_default())?,
            since: since.unwrap_or_else(Instant::now),
        })
    }
}

impl Tasks {
    /// Starts a call of the runtime, when its output is read; `job` is done when it has ended.
    pub(super) fn spawn(
        &mut self,
        command: Command,
        mut streams: Streams,
        mut job: Job,
    ) -> Result<()> {
        if streams.are_open()? {
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
            let open = match waiting.streams.are_open() {
                Ok(false) if waiting.since.elapsed() >= PATIENCE => {
                    let message = "nobody reads the output, and a process is not made before";
                    Err(Failure::new(Code::Unknown, message))
                }
                other => other,
            };
            if open == Ok(false) {
                self.waiting.push(waiting);
                continue;
            }
            let Waiting { command, streams, mut job, .. } = waiting;
            match open.and_then(|_| self.launch(command, streams, &mut job)) {
                Ok(child) => drop(self.jobs.insert(child, job)),
                Err(failure) => self.finish(job, &Err(failure)),
            }
        }
    }

    /// How long the next look may be put off.
    pub fn patience(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(PAUSE)
    }
}
