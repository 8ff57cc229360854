//! `create`: makes the container up to its gate.

use crate::cli::{CgroupManager, Create, Global};
use crate::error::{Error, Result};
use crate::fds;
use crate::launch::{self, Launched, NewContainer};
use crate::process::setup::Options;
use crate::self_exe;

/// Creates the container.
///
/// # Errors
/// See [`launch::launch`].
pub fn create(global: &Global, flags: &Create) -> Result<()> {
    launch(global, flags).map(drop)
}

/// Creates the container and keeps its lock, for `run`.
///
/// # Errors
/// See [`launch::launch`].
pub fn launch(global: &Global, flags: &Create) -> Result<Launched> {
    if global.systemd_cgroup || global.cgroup_manager == CgroupManager::Systemd {
        return Err(Error::Usage(
            "--systemd-cgroup: control groups by systemd are not supported yet; configure the \
             engine for cgroupfs (containerd: SystemdCgroup = false)"
                .to_owned(),
        ));
    }
    // Before anything is opened: the second run must find the descriptors as the first did.
    self_exe::protect()?;
    let listen = std::env::var("LISTEN_FDS").ok();
    let inherited = fds::plan(flags.preserve_fds, listen.as_deref())?;
    let request = NewContainer {
        id: flags.id.clone(),
        bundle: flags.bundle.clone(),
        pid_file: flags.pid_file.clone(),
        console_socket: flags.console_socket.clone(),
        options: Options {
            no_pivot: flags.no_pivot,
            no_new_keyring: flags.no_new_keyring,
            inherited,
        },
    };
    launch::launch(&global.root, &request, &global.log())
}
