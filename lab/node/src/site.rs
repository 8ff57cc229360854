//! Where daemons are started: in namespaces, or on the machine that this program runs on.

use std::path::PathBuf;
use std::process::Command;

use miette::Result;

use crate::command_output::output_of;
use crate::daemon::Daemon;
use crate::machine_node::MachineNode;
use crate::native_node::NativeNode;

/// Where daemons are started.
pub enum Site<'a> {
    /// In namespaces, from outside.
    Native(&'a NativeNode),
    /// On the machine that this program runs on.
    Machine(&'a MachineNode),
}

impl Site<'_> {
    /// Name of the Node object.
    pub fn name(&self) -> &str {
        match self {
            Self::Native(node) => node.name(),
            Self::Machine(node) => node.name(),
        }
    }

    /// Sees whether all daemons still run.
    ///
    /// # Errors
    /// One ended.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Native(node) => node.check(),
            Self::Machine(node) => node.check(),
        }
    }

    /// Starts a daemon.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, daemon: &Daemon) -> Result<()> {
        match self {
            Self::Native(node) => node.start(daemon),
            Self::Machine(node) => node.start(daemon),
        }
    }

    /// The end of a daemon's log, as the continuation of an error text.
    pub fn tail(&self, daemon: &str) -> String {
        match self {
            Self::Native(node) => node.tail(daemon),
            Self::Machine(_) => MachineNode::tail(daemon),
        }
    }

    /// The node's root directory, seen from here.
    pub fn root(&self) -> PathBuf {
        match self {
            Self::Native(node) => node.root(),
            Self::Machine(_) => PathBuf::from("/"),
        }
    }

    /// A command that will run inside.
    pub fn command(&self, argv: &[&str]) -> Command {
        match self {
            Self::Native(node) => node.command(argv),
            Self::Machine(node) => node.command(argv),
        }
    }

    /// Runs a command inside for its standard output.
    ///
    /// # Errors
    /// It fails; the text has its standard error.
    pub fn output(&self, argv: &[&str]) -> Result<String> {
        output_of(&mut self.command(argv), argv)
    }
}
