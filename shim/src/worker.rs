//! Work that may never end, in a process of its own: mounting from storage that does not answer,
//! unmounting from it, waiting for a program to be ready.

use crate::api::rpc::Status;
use crate::error::{Code, Failure, Result};
use crate::handover::descriptors::{Kept, claim};
use crate::sys;
use nix::unistd::Pid;
use prost::Message;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A process that does something and says what went wrong.
#[derive(Debug)]
pub struct Worker {
    /// The process. It ends when it has done its work.
    pub pid: Pid,
    answer: UnixStream,
}

/// Has a process do `work`. It has no descriptors but `keep`: what others have closed is not to
/// stay open while it waits.
///
/// # Errors
/// The process cannot be started.
pub fn start(keep: &[BorrowedFd<'_>], work: impl FnOnce() -> Result<()>) -> Result<Worker> {
    let failed = |error: std::io::Error| Failure::new(Code::Unknown, format!("fork: {error}"));
    let (here, there) = UnixStream::pair().map_err(failed)?;
    let pid = sys::in_child(|| {
        let kept: Vec<BorrowedFd<'_>> = keep.iter().copied().chain([there.as_fd()]).collect();
        sys::close_all_but(&kept);
        let Err(failure) = work() else { return 0 };
        drop(sys::send_with_fds(&there, &failure.status().encode_to_vec(), &[]));
        1
    });
    Ok(Worker { pid: pid.map_err(failed)?, answer: here })
}

impl Worker {
    /// For the next program: where it answers.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> u32 {
        kept.keep(&self.answer)
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// The descriptor is not there.
    pub fn restore(pid: i32, answer_fd: u32) -> Result<Self> {
        Ok(Self { pid: Pid::from_raw(pid), answer: claim(answer_fd)? })
    }

    /// What went wrong, if it has ended with `status`.
    ///
    /// # Errors
    /// That.
    pub fn outcome(mut self, status: u32) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        // It has ended: nothing is to come.
        let mut said = Vec::new();
        drop(self.answer.set_nonblocking(true));
        drop(self.answer.read_to_end(&mut said));
        match Status::decode(&*said) {
            Ok(status) if status.code != 0 => Err(Failure::told(status)),
            _ => {
                let message = format!("a process of the shim has ended with {status}");
                Err(Failure::new(Code::Unknown, message))
            }
        }
    }

    /// Whether it ends in time. Nobody else may wait for it.
    pub fn ends_within(mut self, patience: Duration) -> bool {
        drop(self.answer.set_read_timeout(Some(patience)));
        // Its end closes the other side, whatever it has said before.
        self.answer.read_to_end(&mut Vec::new()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitStatus, waitpid};

    fn ended(worker: &Worker) -> u32 {
        match waitpid(worker.pid, None).unwrap() {
            WaitStatus::Exited(_, code) => code as u32,
            WaitStatus::Signaled(_, signal, _) => 128 + signal as u32,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_went_wrong_is_told() {
        let worker = start(&[], || Ok(())).unwrap();
        let status = ended(&worker);
        assert_eq!(worker.outcome(status), Ok(()));
        let failure = Failure::new(Code::InvalidArgument, "no such option");
        let worker = start(&[], || Err(failure.clone())).unwrap();
        let status = ended(&worker);
        assert_eq!(worker.outcome(status), Err(failure));
    }

    #[test]
    fn what_others_close_is_closed() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (kept_reader, mut kept) = std::io::pipe().unwrap();
        let worker = start(&[kept_reader.as_fd()], || {
            drop(kept_reader.try_clone().unwrap().read(&mut [0]));
            Ok(())
        });
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the other end is nobody's");
        std::io::Write::write_all(&mut kept, b"x").unwrap();
        assert_eq!(ended(&worker.unwrap()), 0);
    }

    #[test]
    fn one_that_hangs_is_not_waited_for() {
        let hang = || -> Result<()> {
            loop {
                std::thread::park();
            }
        };
        let worker = start(&[], hang).unwrap();
        let pid = worker.pid;
        assert!(!worker.ends_within(Duration::from_millis(50)));
        kill(pid, Signal::SIGKILL).unwrap();
        waitpid(pid, None).unwrap();
        assert!(start(&[], || Ok(())).unwrap().ends_within(Duration::from_mins(1)));
        let worker = start(&[], hang).unwrap();
        kill(worker.pid, Signal::SIGKILL).unwrap();
        let status = ended(&worker);
        assert!(worker.outcome(status).unwrap_err().message.contains("137"));
    }
}
