//! `resume`: lets the processes of a paused container run again.

use crate::cgroup::freezer;
use crate::cli::Global;
use crate::container::{Container, Status};
use crate::error::{Error, Result};

/// Resumes container `id`.
///
/// # Errors
/// [`Error::Missing`]; [`Error::NotRunning`]; [`Error::Status`]: it is not paused.
pub fn resume(global: &Global, id: &str) -> Result<()> {
    let container = Container::new(&global.root, id)?;
    let _lock = container.lock()?;
    let state = container.state()?;
    match container.status(&state) {
        Status::Paused => freezer::set(&state.cgroup, false),
        Status::Stopped => Err(Error::NotRunning(container.id)),
        status => Err(Error::Status {
            refusal: "container not paused",
            id: container.id,
            status: status.as_str(),
            remedy: "only a paused one can be resumed",
        }),
    }
}
