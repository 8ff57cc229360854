//! The verbs of the command line, one file each.

pub mod cache;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub mod features;
pub mod kill;
pub mod list;
pub mod pause;
pub mod ps;
pub mod resume;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;

use crate::container::Container;
use crate::error::{Result, chain};
use crate::log::Log;

/// Does `act` to all of `containers`, whatever fails; returns the last failure and logs the others.
///
/// # Errors
/// Those of `act`.
pub fn for_each(
    containers: &[Container],
    log: &Log,
    act: impl Fn(&Container) -> Result<()>,
) -> Result<()> {
    let mut failed = containers.iter().filter_map(|container| act(container).err()).peekable();
    while let Some(error) = failed.next() {
        if failed.peek().is_none() {
            return Err(error);
        }
        log.warning(&chain(&error));
    }
    Ok(())
}
