//! Something that is wrong with a run. Pure.

use std::fmt;

use serde::Serialize;

use crate::format::{clean, shorten};

/// Something about a run that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Defect {
    /// File or directory, relative to the run directory.
    pub path: String,
    /// Line in it, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub text: String,
}

impl Defect {
    /// A defect of a whole file.
    pub fn file(path: &str, text: impl fmt::Display) -> Self {
        Self::at(path, None, text)
    }

    /// A defect on a line.
    pub fn at(path: &str, line: Option<usize>, text: impl fmt::Display) -> Self {
        Self {
            path: shorten(&clean(path), 200),
            line,
            text: shorten(&clean(&text.to_string()), 400),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.text),
            None => write!(formatter, "{}: {}", self.path, self.text),
        }
    }
}
