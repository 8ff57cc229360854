//! Everything that a cell needs, put together once per run.

use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_image::{NodeImage, WorkloadImage};
use wamr_node::runtimes::{RuntimeKind, RuntimeTable, RuntimeUnderTest};
use wamr_progress::Progress;
use wamr_record::sample::Meminfo;

use crate::cluster::manifest::Batch;
use crate::experiment::{Experiment, Series};
use crate::node_view::NodeView;
use crate::pod_maker::PodMaker;
use crate::run_dir::journal::Journal;
use crate::run_dir::writer::RunWriter;
use crate::sample::cgroup::MemoryCgroup;
use crate::sample::meminfo::MeminfoFile;

/// The parts of a run.
pub struct Lab<'a> {
    /// What is measured.
    pub experiment: &'a Experiment,
    /// The runtimes under test.
    pub runtimes: &'a RuntimeTable,
    /// What the node is made of.
    pub image: &'a NodeImage,
    /// The node.
    pub node: &'a NodeView,
    /// Who makes pods on it.
    pub cluster: PodMaker,
    /// The machine's memory, which is the node's.
    pub meminfo: MeminfoFile,
    /// The control group of the whole node, if it can be found.
    pub node_cgroup: Option<MemoryCgroup>,
    /// The control group that the node sees as the root.
    pub root_cgroup: Option<MemoryCgroup>,
    /// Where the run is written.
    pub run: &'a RunWriter,
    /// What happened.
    pub journal: &'a Journal,
    /// What the user sees.
    pub progress: &'a Progress,
}

impl Lab<'_> {
    /// How long pods may take to start or to go.
    pub fn pod_deadline(&self) -> Duration {
        Duration::from_secs(u64::from(self.experiment.timing.pod_deadline_s))
    }

    /// The runtime and the image of a series.
    ///
    /// # Errors
    /// The table or the node image lacks them.
    pub fn series(&self, series: &Series) -> Result<(&RuntimeUnderTest, &WorkloadImage)> {
        let runtime = self
            .runtimes
            .get(&series.runtime)
            .ok_or_else(|| miette!("runtimes.toml has no {:?}", series.runtime))?;
        let image = self.image.workloads.get(&series.workload).ok_or_else(|| {
            let known: Vec<&str> = self.image.workloads.keys().map(String::as_str).collect();
            miette!(
                help = format!("the node image has: {}", known.join(", ")),
                "the node image has no workload {:?}",
                series.workload
            )
        })?;
        Ok((runtime, image))
    }

    /// The batch of `pods` pods of a series.
    ///
    /// # Errors
    /// As [`Self::series`].
    pub fn batch(&self, name: String, series: &Series, pods: u32) -> Result<Batch> {
        let (runtime, image) = self.series(series)?;
        Ok(Batch {
            name,
            controller: self.experiment.controller,
            pods,
            sandbox_only: runtime.kind == RuntimeKind::Sandbox,
            handler: runtime.handler.clone(),
            image: image.reference.clone(),
            annotations: runtime.pod_annotations.clone(),
        })
    }

    /// A reading of the node's memory.
    ///
    /// # Errors
    /// As the kernel refuses.
    pub fn read_meminfo(&self) -> Result<Meminfo> {
        self.meminfo.read().into_diagnostic().wrap_err("read the node's /proc/meminfo")
    }
}
