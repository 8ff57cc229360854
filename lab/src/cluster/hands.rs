//! The lab's pods on the nodes of a cluster, and running something in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{Api, AttachParams, AttachedProcess, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Resource};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::foothold::{self, CONTAINER, LAB, MADE_BY, NAME, NODE_LABEL, POD_LABEL};
use super::kubernetes::delete_namespace;
use crate::host::installed::HANDLERS;

const POLL: Duration = Duration::from_millis(500);
/// Image pulls are the slow part.
const PODS_LIMIT: Duration = Duration::from_mins(5);
/// Longest wait for something run in a pod.
pub const EXEC_LIMIT: Duration = Duration::from_mins(1);
const FEED_LIMIT: Duration = Duration::from_mins(5);

/// A cluster that the lab has, or wants, a foothold on.
#[derive(Clone)]
pub struct Hands {
    client: Client,
}

impl Hands {
    /// By a connection.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAME)
    }

    /// Nodes that pods may come to.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await;
        let nodes = nodes.into_diagnostic().wrap_err("list the nodes")?.items;
        Ok(nodes.into_iter().filter(foothold::takes_pods).collect())
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
    pub async fn reach_out(&self, image: &str) -> Result<BTreeMap<String, String>> {
        let all = Api::all(self.client.clone());
        self.apply::<Namespace>(&all, foothold::namespace()).await?;
        let sets = Api::namespaced(self.client.clone(), NAME);
        self.apply::<DaemonSet>(&sets, foothold::daemon_set(image)).await?;
        let wanted: BTreeSet<String> =
            self.nodes().await?.into_iter().filter_map(|node| node.metadata.name).collect();
        if wanted.is_empty() {
            bail!("the cluster has no node that takes pods, for Linux on amd64");
        }
        let begun = Instant::now();
        loop {
            let running = self.running().await?;
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

    /// The lab's pods that run, by node.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn running(&self) -> Result<BTreeMap<String, String>> {
        let selected = ListParams::default().labels(&format!("{}={}", POD_LABEL.0, POD_LABEL.1));
        let pods = self.pods().list(&selected).await;
        let pods = pods.into_diagnostic().wrap_err("list the lab's pods")?.items;
        let entry = |pod: Pod| {
            let status = pod.status?;
            let ready = status.container_statuses.iter().flatten().all(|one| one.ready);
            let runs = status.phase.as_deref() == Some("Running") && ready;
            let leaving = pod.metadata.deletion_timestamp.is_some();
            (runs && !leaving).then_some((pod.spec?.node_name?, pod.metadata.name?))
        };
        Ok(pods.into_iter().filter_map(entry).collect())
    }

    /// Begins a command of the lab in a pod, with all streams.
    ///
    /// # Errors
    /// The API or the kubelet refuses.
    pub async fn begin(&self, pod: &str, arguments: &[&str]) -> Result<AttachedProcess> {
        let argv: Vec<&str> = [LAB, "host"].into_iter().chain(arguments.iter().copied()).collect();
        let how = AttachParams::default().container(CONTAINER).stdin(true).stderr(true);
        let begun = self.pods().exec(pod, argv, &how).await;
        begun.into_diagnostic().wrap_err_with(|| format!("run {} in {pod}", arguments.join(" ")))
    }

    /// Runs a command of the lab in a pod; its standard output.
    ///
    /// # Errors
    /// It fails: the text has its standard error. Or it takes longer than a minute.
    pub async fn run(&self, pod: &str, arguments: &[&str]) -> Result<String> {
        within(EXEC_LIMIT, pod, arguments, self.run_to_end(pod, arguments, None)).await
    }

    /// As [`Self::run`], with a file as standard input.
    ///
    /// # Errors
    /// As [`Self::run`], but after some minutes; the file cannot be read.
    pub async fn feed(&self, pod: &str, arguments: &[&str], file: &Path) -> Result<String> {
        within(FEED_LIMIT, pod, arguments, self.run_to_end(pod, arguments, Some(file))).await
    }

    async fn run_to_end(
        &self,
        pod: &str,
        arguments: &[&str],
        input: Option<&Path>,
    ) -> Result<String> {
        let mut process = self.begin(pod, arguments).await?;
        let stdin = process.stdin();
        let ended = process.take_status();
        let (mut output, mut errors) = (String::new(), String::new());
        let (mut stdout, mut stderr) = (process.stdout(), process.stderr());
        let read_output = async {
            if let Some(stream) = &mut stdout {
                stream.read_to_string(&mut output).await.ok();
            }
        };
        let read_errors = async {
            if let Some(stream) = &mut stderr {
                stream.read_to_string(&mut errors).await.ok();
            }
        };
        // The stream is closed at the end of the file: the program may be waiting for that.
        let write_input = async move {
            if let (Some(mut stdin), Some(path)) = (stdin, input) {
                let mut file = File::open(path).await?;
                tokio::io::copy(&mut file, &mut stdin).await?;
                stdin.shutdown().await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let (written, (), ()) = tokio::join!(write_input, read_output, read_errors);
        let status = match ended {
            Some(ended) => ended.await,
            None => None,
        };
        let success = status.as_ref().and_then(|status| status.status.as_deref());
        if success == Some("Success") {
            return Ok(output);
        }
        if let Err(error) = written {
            bail!("its input broke off: {error}: {}", errors.trim());
        }
        let why = status.and_then(|status| status.message).unwrap_or_else(|| "broke off".into());
        bail!("{why}: {}", errors.trim())
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
            self.apply(&classes, foothold::runtime_class(handler)).await?;
        }
        if classes.get_opt("runc").await.into_diagnostic()?.is_none() {
            self.apply(&classes, foothold::runc_class()).await?;
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
    pub async fn let_go(&self) -> Result<()> {
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

/// Waits for something that is run in a pod.
async fn within<T>(
    limit: Duration,
    pod: &str,
    arguments: &[&str],
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let shown = || format!("{} in {pod}", arguments.join(" "));
    match timeout(limit, work).await {
        Ok(outcome) => outcome.wrap_err_with(shown),
        Err(_) => Err(miette!("{} took over {} s", shown(), limit.as_secs())),
    }
}
