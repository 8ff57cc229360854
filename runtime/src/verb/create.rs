//! `create`: makes the container up to its gate.

use crate::cli::{Create, Global};
use crate::console::Console;
use crate::error::Result;
use crate::fds;
use crate::launch::{self, Launched, NewContainer};
use crate::process::setup::Options;
use crate::self_exe;

/// Creates the container.
///
/// # Errors
/// See [`launch::launch`].
pub fn create(global: &Global, flags: &Create) -> Result<()> {
    launch(global, flags, || Ok(flags.console_socket.clone().map(Console::Socket))).map(drop)
}

/// Creates the container and keeps its lock, for `run`.
///
/// # Errors
/// See [`launch::launch`].
pub fn launch(
    global: &Global,
    flags: &Create,
    console: impl FnOnce() -> Result<Option<Console>>,
) -> Result<Launched> {
    // Before anything is opened: the second run must find the descriptors as the first did.
    self_exe::protect()?;
    let listen = std::env::var("LISTEN_FDS").ok();
    let inherited = fds::inherited(flags.preserve_fds, listen.as_deref())?;
    fds::check(inherited.count)?;
    let request = NewContainer {
        id: flags.id.clone(),
        bundle: flags.bundle.clone(),
        config: flags.config.clone(),
        pid_file: flags.pid_file.clone(),
        pidfd_socket: flags.pidfd_socket.clone(),
        console: console()?,
        driver: global.cgroup_driver(),
        rootless: global.rootless.applies(),
        options: Options {
            filters: Some(global.root.clone()),
            no_pivot: flags.no_pivot,
            no_new_keyring: flags.no_new_keyring,
            inherited,
        },
    };
    launch::launch(&global.root, request, &global.log())
}
