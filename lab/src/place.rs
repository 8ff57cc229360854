//! The node of a run, wherever it lives: what a measurement asks of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use miette::Result;
use wamr_node::runtimes::RuntimeTable;
use wamr_node::{MachineNode, NativeNode, VirtualMachine};
use wamr_progress::Progress;

use crate::node_view::NodeView;
use crate::sample::cgroup::MemoryCgroup;

/// What reading a native node from here needs.
pub struct NativeAccess {
    /// Paths and ids.
    pub view: NodeView,
    /// Its control group.
    pub whole: Option<MemoryCgroup>,
}

/// How a native node is read.
pub fn native_access(node: &NativeNode) -> NativeAccess {
    let view = NodeView::new(node.init_pid(), node.proc_root(), node.log_dir());
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok();
    let whole = mounts.and_then(|mounts| MemoryCgroup::find(&mounts, &node.cgroup()));
    NativeAccess { view, whole }
}

/// A node that can be read from where this program runs.
#[expect(clippy::large_enum_variant, reason = "a run has one of them")]
pub enum Place {
    /// In namespaces of this machine, brought up for the run.
    Native(NativeNode),
    /// This machine itself, which was a node before.
    Here(MachineNode),
}

impl Place {
    /// Name of the Node object.
    pub fn name(&self) -> &str {
        match self {
            Self::Native(node) => node.name(),
            Self::Here(node) => node.name(),
        }
    }

    /// `native`; of a machine `vm` or `machine`.
    pub fn provider(&self) -> &'static str {
        match (self, self.virtual_machine()) {
            (Self::Native(_), _) => "native",
            (Self::Here(_), Some(_)) => "vm",
            (Self::Here(_), None) => "machine",
        }
    }

    /// What the machine was started with, if the node is a virtual one.
    pub fn virtual_machine(&self) -> Option<&VirtualMachine> {
        match self {
            Self::Native(_) => None,
            Self::Here(node) => node.spec().virtual_machine.as_ref(),
        }
    }

    /// The runtimes that the machine was made with.
    pub fn runtimes(&self) -> Option<&RuntimeTable> {
        match self {
            Self::Native(_) => None,
            Self::Here(node) => Some(&node.spec().runtimes),
        }
    }

    /// Paths and ids.
    pub fn view(&self) -> NodeView {
        match self {
            Self::Native(node) => native_access(node).view,
            Self::Here(node) => NodeView::new(1, PathBuf::from("/proc"), node.log_dir()),
        }
    }

    /// Where the API server can be reached from.
    ///
    /// # Errors
    /// The node is dead.
    pub fn network_namespace(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Native(node) => node.network_namespace(),
            Self::Here(_) => File::open("/proc/self/ns/net").map(OwnedFd::from),
        }
    }

    /// The admin's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Native(node) => node.kubeconfig(),
            Self::Here(node) => node.kubeconfig(),
        }
    }

    /// The control group of the whole node, in the memory hierarchy of this machine. A machine is
    /// the root, which v2 has no figure for.
    pub fn memory_cgroup(&self) -> Option<MemoryCgroup> {
        let Self::Native(node) = self else { return None };
        native_access(node).whole
    }

    /// The control group that the node sees as the root: pods' groups are named from there.
    pub fn root_cgroup(&self) -> Option<MemoryCgroup> {
        if let Self::Native(_) = self {
            return self.memory_cgroup();
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        MemoryCgroup::find(&mounts, "")
    }

    /// Sees whether all daemons still run.
    ///
    /// # Errors
    /// One ended; the text says which and how.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Native(node) => node.check(),
            Self::Here(node) => node.check(),
        }
    }

    /// Takes down what was brought up for the run.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn leave(self, progress: &Progress) -> Result<()> {
        match self {
            Self::Native(node) => node.down(progress),
            Self::Here(_) => Ok(()),
        }
    }
}
