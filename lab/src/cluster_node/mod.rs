//! What the lab's pod on a node of a cluster does to that node: it puts the runtime there, tells
//! containerd of it, has containerd restarted, and undoes all that.
//!
//! The pod is privileged and shares the host's process ids, so `/proc/1/root` is the host's root,
//! and every change is made from inside it: a link of the host then leads where the host means it
//! to.

pub mod containerd;
pub mod installed;
pub mod programs;
pub mod restart;

use std::os::unix::fs::chroot;

use miette::{IntoDiagnostic, Result, WrapErr};

/// The host's root, from inside the pod.
const HOST_ROOT: &str = "/proc/1/root";

/// Makes the host's root this process's own.
///
/// # Errors
/// The pod is not privileged, or does not see the host's processes.
pub fn enter() -> Result<()> {
    chroot(HOST_ROOT)
        .and_then(|()| std::env::set_current_dir("/"))
        .into_diagnostic()
        .wrap_err_with(|| format!("chroot to {HOST_ROOT}: is the pod privileged, with hostPID?"))
}
