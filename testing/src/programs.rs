//! The programs that a test drives. Nothing is guessed: a program of an older build would pass
//! tests that the sources fail.

use std::env;
use std::path::PathBuf;

use crate::record::lacking;

/// The programs that a node runs.
const RESIDENT: [&str; 5] =
    ["wamr-crun", "wamr-runner", "wasmtime-runner", "wamr-compile", "containerd-shim-wamr-crun-v1"];

/// The shipped program `name`, from the directory that `WAMR_TEST_PROGRAMS` names; `None`, as
/// [`lacking`], without it.
///
/// # Panics
/// If the directory is named and lacks the program.
pub fn program(name: &str) -> Option<PathBuf> {
    let Some(directory) = env::var_os("WAMR_TEST_PROGRAMS").map(PathBuf::from) else {
        lacking("WAMR_TEST_PROGRAMS names no directory of programs: use make");
        return None;
    };
    let path = directory.join(name);
    assert!(path.is_file(), "WAMR_TEST_PROGRAMS={} has no {name}", directory.display());
    Some(path)
}

/// The directory of the programs that a node runs, all of them in it.
pub fn resident() -> Option<PathBuf> {
    RESIDENT.iter().map(|name| program(name)).collect::<Option<Vec<_>>>()?;
    env::var_os("WAMR_TEST_PROGRAMS").map(PathBuf::from)
}
