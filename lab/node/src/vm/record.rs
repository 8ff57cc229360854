//! What a running virtual machine has written down of it, for the next command of the lab.

use std::fs;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};

use super::qemu::Accelerator;
use crate::layout::Layout;
use crate::process_id::ProcessId;

/// What another process needs to find a running machine: `vm.json` in its run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the node.
    pub name: String,
    /// The machine.
    pub qemu: ProcessId,
    /// Its keeper.
    pub keeper: ProcessId,
    /// What executes it.
    pub accelerator: Accelerator,
}

/// Reads the record of the machine `name`.
///
/// # Errors
/// There is none, or it is none.
pub fn read(name: &str) -> Result<Record> {
    let path = Layout::new(name).vm_record();
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
    let path = Layout::new(&record.name).vm_record();
    let text = serde_json::to_string_pretty(record).into_diagnostic()?;
    fs::write(&path, text).into_diagnostic().wrap_err_with(|| format!("write {}", path.display()))
}

/// True if the record of `name` names a living QEMU.
pub fn is_running(name: &str) -> bool {
    read(name).is_ok_and(|record| record.qemu.open().is_ok())
}
