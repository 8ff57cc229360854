//! A new program for this process: it is asked for, tried, and then run by the loop (`handover`).

use super::jobs::Job;
use super::{Answer, ReplyTo, Tasks};
use crate::api::shim;
use crate::error::{Code, Failure, Result, Tried};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program that takes longer for a file of a few hundred kilobytes will not become ready.
const TRIAL_PATIENCE: Duration = Duration::from_secs(10);

/// What a program may say of why it refuses.
const SAID_BYTES: u64 = 4096;

/// A program that is to go on with all that this process serves.
#[derive(Debug)]
pub struct Upgrade {
    /// Its path.
    pub program: PathBuf,
    /// Who has asked for it.
    pub reply: ReplyTo,
    /// Whether it has understood the state.
    pub is_tried: bool,
}

impl Tasks {
    pub(super) fn ask_upgrade(&mut self, request: shim::Upgrade, reply: ReplyTo) -> Answer {
        let program = PathBuf::from(request.program);
        if !program.is_absolute() {
            let message = format!("{}: not the path of a program", program.display());
            return Err(Failure::new(Code::InvalidArgument, message));
        }
        let is_tried = |job: &Job| matches!(job, Job::Trial { .. });
        if self.upgrade.is_some() || self.jobs.values().any(is_tried) {
            let message = "another program is just being tried";
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        self.upgrade = Some(Upgrade { program, reply, is_tried: false });
        Ok(None)
    }

    /// Runs the program on `state`, with nothing at stake.
    pub fn try_upgrade(&mut self, upgrade: Upgrade, state: Result<File>) {
        match state.and_then(|state| self.start_trial(&upgrade.program, state)) {
            Ok((pid, said)) => {
                let job = Job::Trial { upgrade, said };
                self.wait_until(TRIAL_PATIENCE, Pid::from_raw(pid), job);
            }
            Err(failure) => self.replies.push((upgrade.reply, Err(failure))),
        }
    }

    fn start_trial(&mut self, program: &Path, state: File) -> Result<(i32, File)> {
        let said = memfd_create("said", MFdFlags::MFD_CLOEXEC).tried("try", program)?;
        let said = File::from(said);
        let mut command = Command::new(program);
        command.arg("check-state").stdin(state).stdout(Stdio::null());
        command.stderr(said.try_clone().tried("try", program)?);
        Ok((self.start_child(command)?, said))
    }

    /// The trial has ended.
    pub(super) fn tried(&mut self, upgrade: Upgrade, said: File, end: &Result<u32>) {
        match end {
            Ok(0) => self.upgrade = Some(Upgrade { is_tried: true, ..upgrade }),
            Ok(status) => {
                let program = upgrade.program.display();
                let message = match last_words(said) {
                    words if words.is_empty() => format!("{program} has ended with {status}"),
                    words => format!("{program} refuses: {words}"),
                };
                let failure = Failure::new(Code::FailedPrecondition, message);
                self.replies.push((upgrade.reply, Err(failure)));
            }
            Err(failure) => self.replies.push((upgrade.reply, Err(failure.clone()))),
        }
    }

    /// The trial has not ended in time.
    pub(super) fn trial_is_late(&mut self, upgrade: &Upgrade, pid: i32) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        let message = format!(
            "{} has not read the state within {} seconds",
            upgrade.program.display(),
            TRIAL_PATIENCE.as_secs()
        );
        let failure = Failure::new(Code::FailedPrecondition, message);
        self.replies.push((upgrade.reply, Err(failure)));
    }
}

fn last_words(mut said: File) -> String {
    let mut bytes = Vec::new();
    drop(said.rewind().and_then(|()| said.take(SAID_BYTES).read_to_end(&mut bytes)));
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
