//! Who makes the pods of a batch: Kubernetes, or the lab itself through containerd's CRI.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Pod};
use miette::Result;

use crate::cluster::kubernetes::{Cluster, PodWatch};
use crate::cluster::manifest::Batch;
use crate::cri::pods::CriPods;
use crate::sample::metrics_server::MetricsObject;

/// What a cell asks for pods.
pub enum PodMaker {
    /// The API server.
    Kubernetes(Cluster),
    /// containerd. There are no events then, and neither metrics-server nor kubelet.
    Cri(CriPods),
}

impl PodMaker {
    /// Makes ready for pods.
    ///
    /// # Errors
    /// As [`Cluster::prepare_namespace`].
    pub async fn prepare(&self) -> Result<()> {
        match self {
            Self::Kubernetes(cluster) => cluster.prepare_namespace().await,
            Self::Cri(_) => Ok(()),
        }
    }

    /// Asks for the pods of a batch, with one call where there is one; for pods that arrive at a
    /// rate it begins to ask. `watch` is that of the batch.
    ///
    /// # Errors
    /// It is refused. Pods that do not start are none.
    pub async fn create(&self, batch: &Batch, watch: &PodWatch) -> Result<()> {
        match self {
            Self::Kubernetes(cluster) => cluster.create(batch, watch).await,
            Self::Cri(pods) => pods.create(batch),
        }
    }

    /// Asks for their removal.
    ///
    /// # Errors
    /// It is refused.
    pub async fn delete(&self, batch: &str) -> Result<()> {
        match self {
            Self::Kubernetes(cluster) => cluster.delete(batch).await,
            Self::Cri(pods) => pods.delete(batch).await,
        }
    }

    /// True once nobody knows of them any more.
    ///
    /// # Errors
    /// The question is refused.
    pub async fn is_gone(&self, batch: &str) -> Result<bool> {
        match self {
            Self::Kubernetes(cluster) => cluster.is_gone(batch).await,
            Self::Cri(pods) => pods.is_gone(batch).await,
        }
    }

    /// The pods as objects.
    ///
    /// # Errors
    /// The question is refused.
    pub async fn pods(&self, batch: &str) -> Result<Vec<Pod>> {
        match self {
            Self::Kubernetes(cluster) => cluster.pods(batch).await,
            Self::Cri(pods) => Ok(pods.pods()),
        }
    }

    /// Kubernetes' events about the batch; `None` without Kubernetes.
    ///
    /// # Errors
    /// The question is refused.
    pub async fn events(&self, batch: &str) -> Result<Option<Vec<Event>>> {
        match self {
            Self::Kubernetes(cluster) => cluster.events(batch).await.map(Some),
            Self::Cri(_) => Ok(None),
        }
    }

    /// Has Kubernetes forget all events so far.
    ///
    /// # Errors
    /// It is refused.
    pub async fn forget_events(&self) -> Result<()> {
        match self {
            Self::Kubernetes(cluster) => cluster.forget_events().await,
            Self::Cri(_) => Ok(()),
        }
    }

    /// Watches the pods of a batch from now on.
    pub fn watch(&self, batch: &str) -> PodWatch {
        match self {
            Self::Kubernetes(cluster) => cluster.watch(batch),
            Self::Cri(pods) => pods.watch(batch),
        }
    }

    /// What each kubelet answers to a GET.
    ///
    /// # Errors
    /// It is refused.
    pub async fn kubelets(&self, path: &str) -> Result<Vec<String>> {
        match self {
            Self::Kubernetes(cluster) => cluster.kubelets(path).await,
            Self::Cri(_) => Ok(Vec::new()),
        }
    }

    /// The nodes' objects at metrics-server.
    ///
    /// # Errors
    /// As [`Cluster::node_metrics`].
    pub async fn node_metrics(&self) -> Result<BTreeMap<String, MetricsObject>> {
        match self {
            Self::Kubernetes(cluster) => cluster.node_metrics().await,
            Self::Cri(_) => Ok(BTreeMap::new()),
        }
    }

    /// The pods' objects at metrics-server.
    ///
    /// # Errors
    /// As [`Cluster::pod_metrics`].
    pub async fn pod_metrics(&self) -> Result<Vec<(String, MetricsObject)>> {
        match self {
            Self::Kubernetes(cluster) => cluster.pod_metrics().await,
            Self::Cri(_) => Ok(Vec::new()),
        }
    }
}
