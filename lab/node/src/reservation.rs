//! Taking a node's name, so that no two commands make one node.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::layout::Layout;
use crate::process_id::ProcessId;
use crate::{record, sys, traces, vm};

/// Takes the name. The run directory is the lock: making it succeeds once. What a dead node left is
/// removed first.
///
/// # Errors
/// A node of that name is up.
pub fn reserve(name: &str) -> Result<()> {
    let layout = Layout::new(name);
    let run = layout.run();
    let make = || {
        fs::DirBuilder::new().mode(0o755).recursive(true).create(run.parent().unwrap_or(&run))?;
        fs::DirBuilder::new().mode(0o700).create(&run)?;
        write_owner(&layout)
    };
    match make() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if is_up(name) || is_being_made(name) {
                return Err(miette!(
                    help = format!("take it down with: wamr-lab node down --name {name}"),
                    "the node {name} is up already"
                ));
            }
            traces::remove(name)?;
            make()
        }
        other => other,
    }
    .into_diagnostic()
    .wrap_err_with(|| format!("make {}", run.display()))
}

/// True if a node `name` is up, whatever kind it is.
pub fn is_up(name: &str) -> bool {
    record::is_running(name) || vm::is_running(name)
}

/// Notes in the run directory that this process is bringing the node up.
fn write_owner(layout: &Layout) -> io::Result<()> {
    let own = ProcessId::of(sys::own_pid())?;
    fs::write(layout.owner(), serde_json::to_string(&own)?)
}

/// True if another process that still lives is bringing the node `name` up.
fn is_being_made(name: &str) -> bool {
    let layout = Layout::new(name);
    let owner = fs::read_to_string(layout.owner()).ok();
    let owner = owner.and_then(|text| serde_json::from_str::<ProcessId>(&text).ok());
    owner.is_some_and(|owner| {
        let up = layout.record().exists() || layout.vm_record().exists();
        owner.pid() != sys::own_pid() && owner.open().is_ok() && !up
    })
}
