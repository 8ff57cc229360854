//! Puts the lab's pods on the nodes of a cluster, and takes them and what belongs to them away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Resource};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::installer_objects::{self, MADE_BY, NAME, NODE_LABEL};
use super::kubernetes::delete_namespace;
use super::remote_exec::RemoteExec;
use crate::cluster_node::programs::HANDLERS;

const POLL: Duration = Duration::from_millis(500);
/// Image pulls are the slow part.
const PODS_LIMIT: Duration = Duration::from_mins(5);
/// A cluster that the runtime is, or will be, installed on.
#[derive(Clone)]
pub struct Installer {
    client: Client,
    /// Runs commands in the lab's pods.
    pub exec: RemoteExec,
}

impl Installer {
    /// By a connection.
    pub fn new(client: Client) -> Self {
        Self { exec: RemoteExec::new(client.clone()), client }
    }

    /// Nodes that pods may come to.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await;
        let nodes = nodes.into_diagnostic().wrap_err("list the nodes")?.items;
        Ok(nodes.into_iter().filter(installer_objects::takes_pods).collect())
    }

    /// Versions of kubelet and container runtime, by node.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn node_infos(&self) -> Result<BTreeMap<String, (String, String)>> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await;
        let nodes = nodes.into_diagnostic().wrap_err("list the nodes")?.items;
        let versions = |node: Node| {
            let info = node.status?.node_info?;
            let versions = (info.kubelet_version, info.container_runtime_version);
            Some((node.metadata.name?, versions))
        };
        Ok(nodes.into_iter().filter_map(versions).collect())
    }

    /// Brings a pod to every node and waits until all run; their names by node.
    ///
    /// # Errors
    /// The API refuses, or a pod does not run.
    pub async fn deploy(&self, image: &str) -> Result<BTreeMap<String, String>> {
        let all = Api::all(self.client.clone());
        self.apply::<Namespace>(&all, installer_objects::namespace()).await?;
        let sets = Api::namespaced(self.client.clone(), NAME);
        self.apply::<DaemonSet>(&sets, installer_objects::daemon_set(image)).await?;
        let wanted: BTreeSet<String> =
            self.nodes().await?.into_iter().filter_map(|node| node.metadata.name).collect();
        if wanted.is_empty() {
            bail!("the cluster has no node that takes pods, for Linux on amd64");
        }
        let begun = Instant::now();
        loop {
            let running = self.exec.running().await?;
            if wanted.iter().all(|node| running.contains_key(node)) {
                return Ok(running);
            }
            if begun.elapsed() > PODS_LIMIT {
                let missing: Vec<&String> =
                    wanted.iter().filter(|node| !running.contains_key(*node)).collect();
                return Err(miette!(
                    help = format!("kubectl --namespace {NAME} describe pods; is {image} there?"),
                    "after {} s no pod of the lab runs on {missing:?}",
                    PODS_LIMIT.as_secs()
                ));
            }
            sleep(POLL).await;
        }
    }

    /// Says on a node's object whether it has the runtime.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn label(&self, node: &str, installed: bool) -> Result<()> {
        let value = if installed { json!(NODE_LABEL.1) } else { Value::Null };
        let patch = json!({ "metadata": { "labels": { NODE_LABEL.0: value } } });
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patched = nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.into_diagnostic().wrap_err_with(|| format!("label the node {node}")).map(drop)
    }

    /// Makes the RuntimeClasses; one of somebody else's is left as it is.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn make_classes(&self) -> Result<()> {
        let classes: Api<RuntimeClass> = Api::all(self.client.clone());
        for handler in HANDLERS {
            self.apply(&classes, installer_objects::runtime_class(handler)).await?;
        }
        if classes.get_opt("runc").await.into_diagnostic()?.is_none() {
            self.apply(&classes, installer_objects::runc_class()).await?;
        }
        Ok(())
    }

    /// Handlers that pods can ask for: the names of the RuntimeClasses.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn classes(&self) -> Result<BTreeSet<String>> {
        let classes = Api::<RuntimeClass>::all(self.client.clone());
        let classes = classes.list(&ListParams::default()).await;
        let classes = classes.into_diagnostic().wrap_err("list the RuntimeClasses")?.items;
        Ok(classes.into_iter().filter_map(|class| class.metadata.name).collect())
    }

    /// Pods of the whole cluster that the runtime runs, `NAMESPACE/NAME`.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn users(&self) -> Result<Vec<String>> {
        let pods = Api::<Pod>::all(self.client.clone()).list(&ListParams::default()).await;
        let pods = pods.into_diagnostic().wrap_err("list the pods")?.items;
        let ours = |pod: &Pod| {
            let class = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.as_deref());
            class.is_some_and(|class| HANDLERS.contains(&class))
        };
        let name = |pod: Pod| {
            let metadata = pod.metadata;
            format!(
                "{}/{}",
                metadata.namespace.unwrap_or_default(),
                metadata.name.unwrap_or_default()
            )
        };
        Ok(pods.into_iter().filter(ours).map(name).collect())
    }

    /// Deletes all objects of the lab and waits until they are gone.
    ///
    /// # Errors
    /// The API refuses, or they do not go.
    pub async fn remove_objects(&self) -> Result<()> {
        let classes: Api<RuntimeClass> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{}={}", MADE_BY.0, MADE_BY.1));
        let deleted = classes.delete_collection(&DeleteParams::default(), &ours).await;
        deleted.into_diagnostic().wrap_err("delete the RuntimeClasses")?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        delete_namespace(&namespaces, NAME).await
    }

    async fn apply<K>(&self, api: &Api<K>, object: Value) -> Result<()>
    where
        K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let what = format!("apply {} {name}", object["kind"].as_str().unwrap_or_default());
        let how = PatchParams::apply(NAME).force();
        let applied = api.patch(&name, &how, &Patch::Apply(object)).await;
        applied.into_diagnostic().wrap_err(what).map(drop)
    }
}
