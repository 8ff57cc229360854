//! One node and how it is read: from files of this machine, or by the lab's pod there.

use miette::Result;
use wamr_record::cell::Pod;

use super::question::{PodName, Question};
use super::remote::RemoteSampler;
use super::sampler::Sampler;
use crate::cluster::pod_table::SeenPod;

/// How a node is read.
#[derive(Debug)]
pub enum Reader {
    /// From its files.
    Files(Sampler),
    /// By the lab's pod.
    Pod(RemoteSampler),
}

/// A node and its reader.
#[derive(Debug)]
pub struct Observer {
    /// The node's name, where several are measured together.
    pub node: Option<String>,
    /// The name of its machine.
    pub machine: String,
    /// Its reader.
    pub reader: Reader,
}

impl Observer {
    /// Asks the node.
    ///
    /// # Errors
    /// It cannot be asked, or cannot answer.
    pub async fn ask<Q: Question>(&self, question: Q) -> Result<Q::Answer> {
        match &self.reader {
            Reader::Files(sampler) => question.answer(sampler),
            Reader::Pod(remote) => remote.ask(&question).await,
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
