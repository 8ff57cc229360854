//! `state`: prints where a container is in its life.

use crate::cli::Global;
use crate::container::{Container, report};
use crate::error::{Act, Error, Result};
use std::io::{self, Write};

/// Prints the state of container `id` as JSON.
///
/// # Errors
/// [`Error::Missing`].
pub fn state(global: &Global, id: &str) -> Result<()> {
    let container = Container::new(&global.root, id)?;
    let state = container.state()?;
    let status = container.status(&state);
    print_json(&report(&state, status))
}

/// Prints `value` as indented JSON.
///
/// # Errors
/// [`Error::Os`]: stdout is closed.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::Json { path: "stdout".into(), source })?;
    writeln!(io::stdout(), "{text}").act(|| "write to stdout".to_owned())
}
