//! One node and its reader: the same questions, answered from files or through the lab's pod.

use std::collections::BTreeMap;

use miette::Result;
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_record::cell::{Evidence, PhaseName, Pod, ProcessMemory};
use wamr_record::sample::Reading;

use super::eyes::{Eyes, PodName, drop_caches};
use super::pod::PodEyes;
use super::question::{Facts, Found, Logged, Memory, Question};
use crate::cell::start_stamp::StartStamp;
use crate::cluster::pod_table::SeenPod;

/// How a node is read.
#[derive(Debug)]
pub enum Sight {
    /// From its files.
    Files(Eyes),
    /// By the lab's pod.
    Pod(PodEyes),
}

/// A node and its reader.
#[derive(Debug)]
pub struct Observer {
    /// The node's name, where several are measured together.
    pub node: Option<String>,
    /// The name of its machine.
    pub machine: String,
    /// Its reader.
    pub sight: Sight,
}

impl Observer {
    /// What the node is.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn facts(&self) -> Result<Facts> {
        match &self.sight {
            Sight::Files(eyes) => eyes.facts(),
            Sight::Pod(pod) => pod.ask(&Question::Facts).await,
        }
    }

    pub(super) async fn memory(&self) -> Result<Memory> {
        match &self.sight {
            Sight::Files(eyes) => eyes.memory(),
            Sight::Pod(pod) => pod.ask(&Question::Memory).await,
        }
    }

    pub(super) async fn pod_cgroups(&self, pods: Vec<Pod>) -> Result<Vec<Reading>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.pod_cgroups(&pods)),
            Sight::Pod(pod) => pod.ask(&Question::PodCgroups { pods }).await,
        }
    }

    pub(super) async fn walk(
        &self,
        phase: PhaseName,
        pods: Vec<Pod>,
    ) -> Result<Vec<ProcessMemory>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.walk(phase, &pods)),
            Sight::Pod(pod) => pod.ask(&Question::Walk { phase, pods }).await,
        }
    }

    pub(super) async fn pod_processes(&self) -> Result<BTreeMap<u32, String>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.pod_processes()),
            Sight::Pod(pod) => pod.ask(&Question::PodProcesses).await,
        }
    }

    pub(super) async fn containers(&self, ids: Vec<String>) -> Result<BTreeMap<String, Found>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.containers(&ids)),
            Sight::Pod(pod) => pod.ask(&Question::Containers { ids }).await,
        }
    }

    pub(super) async fn stamps(&self, pods: Vec<PodName>) -> Result<BTreeMap<String, StartStamp>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.stamps(&pods)),
            Sight::Pod(pod) => pod.ask(&Question::Stamps { pods }).await,
        }
    }

    pub(super) async fn durations_ns(&self, pods: Vec<PodName>) -> Result<BTreeMap<String, i64>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.durations_ns(&pods)),
            Sight::Pod(pod) => pod.ask(&Question::Durations { pods }).await,
        }
    }

    pub(super) async fn last_words(&self, pods: Vec<PodName>) -> Result<BTreeMap<String, String>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.last_words(&pods)),
            Sight::Pod(pod) => pod.ask(&Question::LastWords { pods }).await,
        }
    }

    pub(super) async fn evidence(
        &self,
        runtime: &RuntimeUnderTest,
        program: &str,
        pods: Vec<Pod>,
    ) -> Result<Evidence> {
        match &self.sight {
            Sight::Files(eyes) => eyes.evidence(runtime, program, &pods),
            Sight::Pod(pod) => {
                let (runtime, program) = (Box::new(runtime.clone()), program.to_owned());
                pod.ask(&Question::Evidence { runtime, program, pods }).await
            }
        }
    }

    /// The begin of a container's log; `None` without one.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub(super) async fn container_log(&self, name: &PodName) -> Result<Option<Vec<u8>>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.container_log(name)),
            Sight::Pod(pod) => pod.ask(&Question::ContainerLog { pod: name.clone() }).await,
        }
    }

    pub(super) async fn daemon_logs(&self, daemons: Vec<String>) -> Result<Vec<Logged>> {
        match &self.sight {
            Sight::Files(eyes) => Ok(eyes.daemon_logs(&daemons)),
            Sight::Pod(pod) => pod.ask(&Question::DaemonLogs { daemons }).await,
        }
    }

    pub(super) async fn drop_caches(&self) -> Result<()> {
        match &self.sight {
            Sight::Files(_) => drop_caches(),
            Sight::Pod(pod) => pod.ask(&Question::DropCaches).await,
        }
    }

    pub(super) fn has(&self, node: Option<&String>) -> bool {
        self.node.is_none() || self.node.as_ref() == node
    }

    pub(super) fn own(&self, pods: &[Pod]) -> Vec<Pod> {
        pods.iter().filter(|pod| self.has(pod.node.as_ref())).cloned().collect()
    }

    pub(super) fn own_names(&self, pods: &[(String, SeenPod)]) -> Vec<PodName> {
        let own = pods.iter().filter(|(_, pod)| self.has(pod.node.as_ref()));
        own.map(|(name, pod)| PodName { name: name.clone(), uid: pod.uid.clone() }).collect()
    }
}
