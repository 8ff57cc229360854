//! Why the guest could not be run, and how the operator is told.

use crate::exit_code::ExitCode;
use crate::sys;

/// The guest was not run, or not to an end of its own.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are not those of `wamr-crun`.
    Usage,
    /// A step did not work.
    Step {
        /// What was tried.
        act: String,
        /// Why it failed, in the words of the kernel, of the engine or of the plan.
        reason: String,
    },
    /// The guest trapped, for this reason; further lines say where.
    Trapped(String),
}

impl Failure {
    /// `act` did not work because of `reason`.
    pub fn step(act: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Step { act: act.into(), reason: reason.to_string() }
    }

    /// `act` did not work; the last system call left the reason.
    pub fn system(act: impl Into<String>) -> Self {
        Self::step(act, std::io::Error::last_os_error())
    }

    /// Writes the failure to standard error in the name of `program`, and says what the process
    /// exits with.
    pub fn report(&self, program: &str) -> ExitCode {
        match self {
            Self::Usage => {
                sys::write_to_stderr(usage(program).as_bytes());
                ExitCode::USAGE
            }
            Self::Step { act, reason } => {
                let reason = reason.trim_end();
                sys::write_to_stderr(format!("{program}: {act}: {reason}\n").as_bytes());
                ExitCode::CANNOT_RUN
            }
            Self::Trapped(text) => {
                sys::write_to_stderr(format!("{program}: {text}\n").as_bytes());
                ExitCode::TRAP
            }
        }
    }
}

fn usage(program: &str) -> String {
    format!(
        "{program} runs one Wasm container and is started by wamr-crun, not by hand.\n\
         usage: {program} PLAN_FD [GUEST_ARGUMENT...]\n\
         PLAN_FD is the number of an open file that holds a plan, as wamr-crun writes it.\n\
         To run a module by hand, make a bundle of it: wamr-crun run --bundle DIRECTORY NAME\n"
    )
}
