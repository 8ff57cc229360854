//! `pause`: freezes all processes of a container.

use crate::cgroup::freezer;
use crate::cli::Global;
use crate::container::{Container, Status};
use crate::error::{Error, Result};

/// Pauses container `id`. A created one can be paused too; it is created again afterwards.
///
/// # Errors
/// [`Error::Missing`]; [`Error::NotRunning`]; [`Error::Status`]: it is paused already;
/// [`Error::Usage`]: no freezer, or processes that do not come to rest.
pub fn pause(global: &Global, id: &str) -> Result<()> {
    let container = Container::new(&global.root, id)?;
    let _lock = container.lock()?;
    let state = container.state()?;
    let remedy = match container.status(&state) {
        Status::Created | Status::Running => return freezer::set(&state.cgroup, true),
        Status::Stopped => return Err(Error::NotRunning(container.id)),
        Status::Creating => "wait until create has ended",
        Status::Paused => "resume it first",
    };
    let status = container.status(&state).as_str();
    let refusal = "cannot pause the container";
    Err(Error::Status { refusal, id: container.id, status, remedy })
}
