//! Everything that a cell needs, put together once per run.

use std::time::Duration;

use miette::{Result, miette};
use serde_json::json;
use wamr_image::{NodeImage, WorkloadImage};
use wamr_node::runtimes::{RuntimeKind, RuntimeTable, RuntimeUnderTest};
use wamr_progress::Progress;
use wamr_record::experiment::{Experiment, Provider, Series};

use crate::cluster::installer_objects::NODE_LABEL;
use crate::cluster::manifest::Batch;
use crate::heaps::Heaps;
use crate::observer::aggregate::Observers;
use crate::pod_maker::PodMaker;
use crate::run_dir::journal::Journal;
use crate::run_dir::writer::RunWriter;

/// The parts of a run.
pub struct Lab<'a> {
    /// What is measured.
    pub experiment: &'a Experiment,
    /// The runtimes under test.
    pub runtimes: &'a RuntimeTable,
    /// What the node is made of.
    pub image: &'a NodeImage,
    /// Version of its containerd; of several nodes each one that differs.
    pub containerd: Option<String>,
    /// Who reads the node, or the nodes.
    pub observers: Observers,
    /// Who makes pods there.
    pub cluster: PodMaker,
    /// The daemons whose heaps are collected before a level of memory.
    pub heaps: Heaps,
    /// Where the run is written.
    pub run: &'a RunWriter,
    /// What happened.
    pub journal: &'a Journal,
    /// What the user sees.
    pub progress: &'a Progress,
}

impl Lab<'_> {
    /// Has the daemons collect their heaps. One that does not is told in the journal.
    pub async fn collect_heaps(&self) {
        for (daemon, reason) in self.heaps.collect().await {
            let detail = json!({ "daemon": daemon, "reason": reason });
            self.journal.note("heap-not-collected", None, detail);
        }
    }

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

    /// The batch of `pods` pods of a series, made with one call.
    ///
    /// # Errors
    /// As [`Self::series`].
    pub fn batch(&self, name: String, series: &Series, pods: u32) -> Result<Batch> {
        let (runtime, image) = self.series(series)?;
        Ok(Batch {
            name,
            controller: self.experiment.controller,
            pods,
            arrival: None,
            sandbox_only: runtime.kind == RuntimeKind::Sandbox,
            handler: runtime.handler.clone(),
            image: image.reference.clone(),
            annotations: runtime.pod_annotations.clone(),
            node_label: (self.experiment.provider == Provider::Cluster).then_some(NODE_LABEL),
        })
    }
}
