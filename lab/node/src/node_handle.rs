//! The handle on a running node: its keeper, the socket to it, and how it ends. The same for a node
//! in namespaces and for a virtual machine.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr};
use wamr_progress::Progress;

use crate::error_chain::chain;
use crate::process_id::{ProcessId, ended_within, kill};
use crate::wire::{Channel, Request};
use crate::{sys, traces};

/// Starts this program again under the name `keeper`, with a socket as standard input.
///
/// # Errors
/// It cannot be started, or `log` not be written.
pub fn spawn_keeper(keeper: &str, log: &Path) -> Result<(Child, Channel)> {
    let (ours, theirs) = UnixStream::pair().into_diagnostic().wrap_err("socketpair")?;
    let log = File::create(log).into_diagnostic().wrap_err_with(|| log.display().to_string())?;
    let child = Command::new("/proc/self/exe")
        .arg0(keeper)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| format!("start this program again as {keeper}"))?;
    Ok((child, Channel::new(ours)))
}

/// What differs between the kinds of node.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What the main process is, in messages.
    pub main: &'static str,
    /// The title of the step that takes the node down.
    pub down: &'static str,
    /// The signal that ends the main process in order, without the socket.
    pub signal: i32,
    /// How long an ordered stop may take.
    pub stop_limit: Duration,
}

/// A handle on a node. Dropping it takes the node down if this process brought it up.
#[derive(Debug)]
pub struct NodeHandle {
    name: String,
    kind: Kind,
    main_pidfd: OwnedFd,
    keeper_pidfd: OwnedFd,
    /// None for a node that another process brought up.
    keeper: Option<Child>,
    channel: Mutex<Option<Channel>>,
    ends_with_us: bool,
}

impl NodeHandle {
    /// A node that another process brought up.
    ///
    /// # Errors
    /// A process of it is gone.
    pub fn open(name: &str, kind: Kind, main: ProcessId, keeper: ProcessId) -> Result<Self> {
        let open = |what: &str, process: ProcessId| {
            let shown = || format!("{what} (PID {})", process.pid());
            process.open().into_diagnostic().wrap_err_with(shown)
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            main_pidfd: open(kind.main, main)?,
            keeper_pidfd: open("the node's keeper", keeper)?,
            keeper: None,
            channel: Mutex::new(None),
            ends_with_us: false,
        })
    }

    /// Makes it a node of this process.
    #[must_use]
    pub fn brought_up(mut self, keeper: Child, channel: Channel) -> Self {
        self.keeper = Some(keeper);
        self.channel = Mutex::new(Some(channel));
        self.ends_with_us = true;
        self
    }

    /// The socket; none for a node of another process, or after the other end closed.
    pub fn channel(&self) -> MutexGuard<'_, Option<Channel>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once the main process has ended.
    pub fn has_ended(&self) -> bool {
        ended_within(&self.main_pidfd, Duration::ZERO)
    }

    /// Lets the node live on when this process ends.
    ///
    /// # Errors
    /// The node is dead.
    pub fn stay(&mut self) -> Result<()> {
        let channel = self.channel().take();
        if let Some(mut channel) = channel {
            channel.send(&Request::Stay).into_diagnostic().wrap_err("tell the node to stay")?;
        }
        self.ends_with_us = false;
        Ok(())
    }

    /// As [`Self::stop_and_remove`], and shows it.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn down(&mut self, progress: &Progress) -> Result<()> {
        let step = progress.step(self.kind.down);
        let outcome = self.stop_and_remove();
        match &outcome {
            Ok(()) => step.done("nothing is left"),
            Err(_) => step.failed("something is left"),
        }
        outcome
    }

    /// Ends the node and removes all that it left on the host.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn stop_and_remove(&mut self) -> Result<()> {
        self.ends_with_us = false;
        let channel = self.channel().take();
        let asked = match channel {
            Some(mut channel) => channel.send(&Request::Stop).is_ok(),
            None => sys::pidfd_send_signal(&self.main_pidfd, self.kind.signal).is_ok(),
        };
        // The keeper ends after the main process did and the traces are removed.
        if !asked || !ended_within(&self.keeper_pidfd, self.kind.stop_limit) {
            kill(&self.main_pidfd, self.kind.main)?;
            kill(&self.keeper_pidfd, "the node's keeper")?;
        }
        if let Some(mut keeper) = self.keeper.take() {
            keeper.wait().into_diagnostic().wrap_err("wait for the node's keeper")?;
        }
        traces::remove(&self.name)
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        if self.ends_with_us
            && let Err(error) = self.stop_and_remove()
        {
            eprintln!("take the node {} down: {}", self.name, chain(&error));
        }
    }
}
