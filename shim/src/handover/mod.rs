//! Replacing the program of a process that serves, by execve(2): its number, its children, its
//! connections and its namespaces stay. What it knows goes through a file in memory (`saved`,
//! `file`), and its descriptors stay open (`descriptors`).
//!
//! The new program is first run on the state with nothing at stake (`check-state`); only one that
//! understands it gets it (`take-over`). Neither waits for a child or a call: both outlive it.

pub mod descriptors;
pub mod field;
pub mod file;
pub mod saved;

use crate::error::{Failure, Result, Tried};
use crate::runtime_cli::RuntimeCli;
use crate::sys;
use descriptors::Kept;
use file::Reader;
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `check-state`: whether this program could go on with the state on standard input.
///
/// # Errors
/// It could not.
pub fn check() -> Result<()> {
    let (_, mut reader) = Reader::open(input()?)?;
    while reader.piece()?.is_some() {}
    RuntimeCli::find("/".into()).map(drop)
}

/// Standard input, in whose place /dev/null then is.
///
/// # Errors
/// There is none.
pub fn input() -> Result<File> {
    let input = sys::take_stdin().tried("take the state from standard input of", own())?;
    Ok(input.into())
}

/// Has this process go on as `program`. It returns only if that cannot be run; then all is as it
/// was.
pub fn execute(program: &Path, state: &File, kept: &Kept<'_>) -> Failure {
    let done = arguments(program).and_then(|arguments| {
        kept.let_through(true)?;
        nix::unistd::dup2_stdin(state).tried("hand the state to", program)?;
        nix::unistd::execv(&arguments[0], &arguments).tried("run", program)
    });
    drop(kept.let_through(false));
    if let Ok(null) = File::open("/dev/null") {
        nix::unistd::dup2_stdin(null).ok();
    }
    match done {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

/// Those of this process, which end with the verb and the directory, with another verb.
fn arguments(program: &Path) -> Result<Vec<CString>> {
    let own: Vec<_> = std::env::args_os().skip(1).collect();
    let verb = own.len().saturating_sub(2);
    let words = own
        .iter()
        .enumerate()
        .map(|(index, word)| if index == verb { &b"take-over"[..] } else { word.as_bytes() });
    let all = std::iter::once(program.as_os_str().as_bytes()).chain(words);
    all.map(|word| CString::new(word).tried("run", program)).collect()
}

fn own() -> &'static Path {
    Path::new("/proc/self")
}
