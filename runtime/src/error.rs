//! What a verb can fail with, and how the failure reads.
//!
//! A message says what was tried on what; the cause is the `source`, and [`chain`] prints both
//! once. The texts that container engines look for are kept here, side by side.

use std::io;
use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused `act`, which names the call and its object.
    #[error("{act}")]
    Os {
        /// What was tried, on what.
        act: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bundle asks for something that is wrong or that this runtime would have to ignore.
    /// Nothing was created.
    #[error("config.json: {field}: {reason}")]
    Config {
        /// The property, written as a path from the top of config.json.
        field: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A file of ours or of the bundle is no valid JSON for its type.
    #[error("parse {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `create` met a container of this name. Engines match on "already exists".
    #[error("container with id \"{0}\" already exists: delete it or choose another id")]
    Exists(String),
    /// There is no such container. Engines match on "does not exist".
    #[error("container \"{0}\" does not exist")]
    Missing(String),
    /// The init process is gone. Engines match on "container not running".
    #[error("container not running: the process of \"{0}\" has already finished")]
    NotRunning(String),
    /// The container is in a state that does not allow the verb.
    #[error("cannot {verb} container \"{id}\" in the {status} state: {remedy}")]
    Status {
        /// What was asked.
        verb: &'static str,
        /// The container.
        id: String,
        /// Its status.
        status: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The workload decision failed: see `workload.rs`.
    #[error("{0}")]
    Workload(String),
    /// The init process reported this text: its own chain, already complete.
    #[error("container init: {0}")]
    Init(String),
    /// A hook failed; the text names it.
    #[error("{0}")]
    Hook(String),
}

impl Error {
    /// A refusal of config.json's `field`.
    pub fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }
}

/// Adds to a failed system call what it was for.
pub trait Act<T> {
    /// Turns the error into [`Error::Os`] with the text of `act`.
    ///
    /// # Errors
    /// Those of `self`.
    fn act(self, act: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Act<T> for std::result::Result<T, E> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Os { act: act(), source: source.into() })
    }
}

/// The error and its causes in one line: `message: cause: cause of the cause`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let failed: std::result::Result<(), io::Error> = Err(io::Error::from_raw_os_error(2));
        let error = failed.act(|| "open /x".to_owned()).unwrap_err();
        assert_eq!(chain(&error), "open /x: No such file or directory (os error 2)");
    }

    #[test]
    fn engines_find_their_phrases() {
        assert!(Error::Missing("a".into()).to_string().contains("does not exist"));
        assert!(Error::NotRunning("a".into()).to_string().contains("container not running"));
        assert!(Error::Exists("a".into()).to_string().contains("already exists"));
    }
}
