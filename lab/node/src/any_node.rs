//! A node of this machine, wherever it lives.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use miette::{IntoDiagnostic, Result, WrapErr};

use crate::config::check_name;
use crate::layout::Layout;
use crate::native_node::NativeNode;
use crate::reservation::is_up;
use crate::vm::VmNode;

/// A node that is up.
#[derive(Debug)]
pub enum Node {
    /// In namespaces.
    Native(NativeNode),
    /// In a virtual machine.
    Vm(VmNode),
}

impl Node {
    /// Names of nodes that are up or left something behind, sorted, each with whether it is up.
    pub fn names() -> Vec<(String, bool)> {
        let names = Layout::names().into_iter();
        names.map(|name| (name.clone(), is_up(&name))).collect()
    }

    /// A node that another process brought up and told to stay. It stays when this is dropped.
    ///
    /// # Errors
    /// There is no such node, or it is dead.
    pub fn attach(name: &str) -> Result<Self> {
        check_name(name)?;
        if Layout::new(name).vm_record().exists() {
            return VmNode::attach(name).map(Self::Vm);
        }
        NativeNode::attach(name).map(Self::Native)
    }

    /// `native`, or `vm` with what executes it.
    pub fn kind(&self) -> String {
        match self {
            Self::Native(node) if node.member().index > 0 => "native, a worker".to_owned(),
            Self::Native(node) => match node.workers().len() {
                0 => "native".to_owned(),
                1 => "native, a control plane with 1 worker".to_owned(),
                count => format!("native, a control plane with {count} workers"),
            },
            Self::Vm(node) => format!("vm, {}", node.accelerator().word()),
        }
    }

    /// Runs a program inside with this process's standard streams; its exit status, 128 + N for
    /// signal N.
    ///
    /// # Errors
    /// The node is dead.
    pub fn exec(&self, argv: &[&str]) -> Result<i32> {
        match self {
            Self::Vm(node) => node.exec(argv),
            Self::Native(node) => {
                let status = node.exec(argv)?;
                Ok(status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1))
            }
        }
    }

    /// The log of a daemon.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn log_text(&self, daemon: &str) -> Result<String> {
        match self {
            Self::Vm(node) => node.log_text(daemon),
            Self::Native(node) => {
                let path = node.log_dir().join(format!("{daemon}.log"));
                let bytes = fs::read(&path)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("read {}", path.display()))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    /// Takes down and removes the node `name`, whoever brought it up and whether or not that
    /// process or the node still lives. Nothing there is fine.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn clean(name: &str) -> Result<()> {
        check_name(name)?;
        match Self::attach(name) {
            Ok(Self::Vm(mut node)) => node.stop_and_remove(),
            Ok(Self::Native(_)) | Err(_) => NativeNode::clean(name),
        }
    }
}
