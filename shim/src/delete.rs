//! `delete`: what a container has left whose shim does not answer any more.
//!
//! containerd runs many of these at once, with five seconds for each.

use crate::api::Timestamp;
use crate::api::task::{Deleted, signalled};
use crate::arguments::Arguments;
use crate::error::{Code, Failure, Result, Tried};
use crate::mounts;
use crate::runtime_cli::RuntimeCli;
use crate::shard::Home;
use crate::worker;
use prost::Message;
use std::path::Path;
use std::time::Duration;

/// For unmounting.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the container and unmounts its root file system. What is not there any more is no error.
///
/// # Errors
/// The runtime cannot be run, or cannot end the container.
pub fn delete(arguments: &Arguments) -> Result<Vec<u8>> {
    let current = std::env::current_dir().tried("find", Path::new("."))?;
    let bundle = arguments.bundle.clone().unwrap_or(current);
    let home = Home::open(&arguments.address, &arguments.namespace)?;
    let runtime = RuntimeCli::find(home.containers())?;
    // A sandbox without a process is unknown to the runtime, for which --force is no error.
    let mut command = runtime.command();
    command.args(["delete", "--force", &arguments.id]);
    let output = command.output().tried("run", runtime.program())?;
    if !output.status.success() {
        // containerd is not to take for gone what may still run.
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(Code::Unknown, said.trim()));
    }
    let root = bundle.join("rootfs");
    let unmounting = worker::start(&[], || {
        mounts::unmount(&root);
        Ok(())
    })?;
    // What hangs is out of sight: its storage is dead, and is no reason to keep the container.
    unmounting.ends_within(PATIENCE);
    let locked = home.lock()?;
    if let Some(shard) = home.shard_of(&arguments.id) {
        shard.leave(&arguments.id);
    }
    drop(locked);
    // As if it had been killed.
    let exit_status = signalled(libc::SIGKILL);
    let deleted = Deleted { pid: 0, exit_status, exited_at: Some(Timestamp::now()) };
    Ok(deleted.encode_to_vec())
}
