//! Why the guest could not be run, and how the operator is told.

use crate::exit_code::ExitCode;
use crate::sys;

/// The guest was not run.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are not those of `wamr-crun`.
    Usage,
    /// `act` did not work, `reason` says why in the words of the kernel, of WAMR or of the plan.
    Step { act: String, reason: String },
}

const USAGE: &str = "\
wamr-runner runs one Wasm container and is started by wamr-crun, not by hand.
usage: wamr-runner PLAN_FD [GUEST_ARGUMENT...]
PLAN_FD is the number of an open file that holds a plan, as wamr-crun writes it.
To run a module by hand, make a bundle of it: wamr-crun run --bundle DIRECTORY NAME
";

impl Failure {
    /// `act` did not work because of `reason`.
    pub fn step(act: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Step { act: act.into(), reason: reason.to_string() }
    }

    /// `act` did not work; the last system call left the reason.
    pub fn system(act: impl Into<String>) -> Self {
        Self::step(act, std::io::Error::last_os_error())
    }

    /// Writes the failure to standard error, and says what the process exits with.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage => {
                sys::write_to_stderr(USAGE.as_bytes());
                ExitCode::USAGE
            }
            Self::Step { act, reason } => {
                let reason = reason.trim_end();
                sys::write_to_stderr(format!("wamr-runner: {act}: {reason}\n").as_bytes());
                ExitCode::CANNOT_RUN
            }
        }
    }
}
