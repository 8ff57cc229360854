//! What a verb can fail with, and how the failure reads.
//!
//! A message says what was tried on what; the cause is the `source`, and [`chain`] prints both
//! once. Container engines look for words in these texts, and choose statuses by them: they are
//! those of runc, and `runtime/tests/privileged/words.rs` has the table of them.

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
    /// `create` met a container of this name.
    #[error("container with given ID already exists: {0:?}: delete it or choose another id")]
    Exists(String),
    /// There is no such container.
    #[error("container does not exist: {0:?}")]
    Missing(String),
    /// The init process is gone.
    #[error("container not running: the process of {0:?} has already finished")]
    NotRunning(String),
    /// The container is in a state that does not allow the verb.
    #[error("{refusal}: {id:?} is {status}: {remedy}")]
    Status {
        /// What cannot be, in runc's words.
        refusal: &'static str,
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
        match inner.downcast_ref() {
            Some(system) => text.push_str(&said(system)),
            None => text.push_str(&inner.to_string()),
        }
        cause = inner.source();
    }
    text
}

/// What the system said. Engines look for such words as they are written in Go: Docker's command
/// line finds "permission denied" in small letters only.
pub fn said(error: &io::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        // The C library's text; whatever else is in an error was written here.
        Some(first) if error.raw_os_error().is_some() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let failed: std::result::Result<(), io::Error> = Err(io::Error::from_raw_os_error(2));
        let error = failed.act(|| "open /x".to_owned()).unwrap_err();
        assert_eq!(chain(&error), "open /x: no such file or directory (os error 2)");
    }

    #[test]
    fn only_the_systems_words_are_made_small() {
        assert_eq!(said(&io::Error::from_raw_os_error(13)), "permission denied (os error 13)");
        assert_eq!(said(&io::Error::other("PATH")), "PATH");
    }
}
