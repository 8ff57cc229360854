//! What a running native node writes down of itself, for the next command of the lab.

use std::fs;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};

use crate::config::ControlPlane;
use crate::daemon::Daemon;
use crate::layout::Layout;
use crate::member::{Member, is_worker_of};
use crate::process_id::ProcessId;

/// What another process needs to find a running node: `node.json` in its run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which node of its cluster it is.
    pub member: Member,
    /// Its PID 1.
    pub init: ProcessId,
    /// Its keeper.
    pub keeper: ProcessId,
    /// How fast the control plane may go.
    pub control_plane: ControlPlane,
    /// In the order of their start.
    pub daemons: Vec<Daemon>,
}

/// Reads the record of the node `name`.
///
/// # Errors
/// There is none, or it is none.
pub fn read(name: &str) -> Result<Record> {
    let path = Layout::new(name).record();
    let text = fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| path.display().to_string())
}

/// Writes the record.
///
/// # Errors
/// The system refuses.
pub fn write(record: &Record) -> Result<()> {
    let path = Layout::new(&record.member.name).record();
    let text = serde_json::to_string_pretty(record).into_diagnostic()?;
    fs::write(&path, text).into_diagnostic().wrap_err_with(|| format!("write {}", path.display()))
}

/// True if the record of `name` names a living init.
pub fn is_running(name: &str) -> bool {
    read(name).is_ok_and(|record| record.init.open().is_ok())
}

/// Workers of the control plane `name` that are up or left something behind.
pub fn worker_names(name: &str) -> Vec<String> {
    Layout::names().into_iter().filter(|other| is_worker_of(name, other)).collect()
}
