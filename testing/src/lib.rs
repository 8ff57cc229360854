//! What tests ask of the machine: root, programs, conditions; and what becomes of a test that
//! cannot run.
//!
//! A test that lacks what its tier promises fails under `make` ([`lacking`]); by hand, with
//! `cargo test`, it says so and is skipped. What a machine may lack without a fault of anybody
//! stands in `.config/skips.toml` ([`skip`]); the end of `make` names what was skipped.

mod programs;
mod record;
mod skips;

use std::fs;
use std::path::Path;

pub use programs::{program, resident};
pub use record::lacking;
pub use skips::skip;

/// The text of a file that the test needs; `None`, as [`lacking`], where it cannot be read.
/// `remedy` says how it comes to be.
pub fn text(path: &Path, remedy: &str) -> Option<String> {
    fs::read_to_string(path)
        .inspect_err(|error| lacking(format!("{}: {error}: {remedy}", path.display())))
        .ok()
}

/// Whether this is root; if not, that is [`lacking`].
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        lacking("root is needed");
    }
    root
}
