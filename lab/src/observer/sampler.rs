//! A node of this machine, opened for reading: what a process of the same machine answers from.

use std::fs;
use std::path::PathBuf;

use miette::{IntoDiagnostic, Result, WrapErr};

use crate::node_view::NodeView;
use crate::sample::cgroup::MemoryCgroup;
use crate::sample::meminfo::MeminfoFile;

/// Where daemons of a node that the lab brought up write.
const LOG_DIR: &str = "/var/log/wamr-lab";

/// An open view of a node. The questions of `question.rs` are answered from it.
#[derive(Debug)]
pub struct Sampler {
    /// Paths and ids.
    pub view: NodeView,
    /// What is read once a second.
    pub meminfo: MeminfoFile,
    /// The control group of the whole node, if it can be found.
    pub whole: Option<MemoryCgroup>,
    /// The control group that the node sees as the root: pods' groups are named from there.
    pub root: Option<MemoryCgroup>,
}

impl Sampler {
    /// Opens what is read once a second.
    ///
    /// # Errors
    /// The node's procfs cannot be read.
    pub fn open(
        view: NodeView,
        whole: Option<MemoryCgroup>,
        root: Option<MemoryCgroup>,
    ) -> Result<Self> {
        let meminfo = MeminfoFile::open(view.proc.root())
            .into_diagnostic()
            .wrap_err("open the node's /proc/meminfo")?;
        Ok(Self { view, meminfo, whole, root })
    }

    /// That of a process inside the root of the machine that is the node.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_this_machine() -> Result<Self> {
        let view = NodeView::new(1, PathBuf::from("/proc"), PathBuf::from(LOG_DIR));
        // Not this process' own mounts: they are those of the pod it was started in.
        let mounts = fs::read_to_string("/proc/1/mounts").unwrap_or_default();
        let root = MemoryCgroup::find(&mounts, "");
        // The root group of version 2 has no figures; then the node has none.
        Self::open(view, root.clone(), root)
    }
}
