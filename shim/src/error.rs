//! Why a call was refused, as ttrpc says it.

use crate::api::rpc::Status;
use std::fmt::Display;
use std::path::Path;

/// gRPC's codes, as far as containerd tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// Anything that has no name.
    Unknown = 2,
    /// The call makes no sense.
    InvalidArgument = 3,
    /// There is no such task or process.
    NotFound = 5,
    /// There is one already.
    AlreadyExists = 6,
    /// Not in the state that it is in.
    FailedPrecondition = 9,
    /// Not by this shim.
    Unimplemented = 12,
}

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What containerd acts on.
    pub code: Code,
    /// What people read.
    pub message: String,
}

/// What a step of a call gives.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// No such task or process.
    pub fn not_found(what: impl Display) -> Self {
        Self::new(Code::NotFound, format!("{what} not found"))
    }

    /// One that another process, or another program, has told.
    pub fn told(status: Status) -> Self {
        use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented};
        let known = [InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, Unimplemented];
        let code = known.into_iter().find(|code| *code as i32 == status.code);
        Self::new(code.unwrap_or(Code::Unknown), status.message)
    }

    /// As the wire has it.
    pub fn status(&self) -> Status {
        Status { code: self.code as i32, message: self.message.clone() }
    }
}

/// What was tried, on what.
pub trait Tried<T> {
    /// The system's refusal with what was tried, on which path.
    ///
    /// # Errors
    /// It was refused.
    fn tried(self, what: &str, path: &Path) -> Result<T>;
}

impl<T, E: Display> Tried<T> for std::result::Result<T, E> {
    fn tried(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            Failure::new(Code::Unknown, format!("{what} {}: {error}", path.display()))
        })
    }
}
