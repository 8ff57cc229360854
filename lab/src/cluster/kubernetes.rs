//! The Kubernetes API, as much of it as an experiment needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use wamr_record::arrival::Arrival;
use wamr_record::experiment::Controller;

use super::installer_objects::MADE_BY;
use super::manifest::{BATCH_LABEL, Batch};
use super::pod_table::PodTable;
use crate::clock::now_ns;
use crate::sample::metrics_server::MetricsObject;

/// Everything of an experiment lives here.
pub const NAMESPACE: &str = "density";
/// A namespace's service account is made by a controller; without it no pod is admitted.
const ACCOUNT_DEADLINE: Duration = Duration::from_mins(5);
/// A namespace goes after its pods.
const GONE_LIMIT: Duration = Duration::from_mins(2);
/// Broken watches in a row before the cell is given up.
const WATCH_ATTEMPTS: u32 = 10;

/// A connection, and the namespace of the experiment.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    controller: Controller,
    /// Whose kubelets and figures count; those of all without any.
    nodes: BTreeSet<String>,
}

/// A running watch; it ends with this value.
pub struct PodWatch {
    table: Arc<Mutex<PodTable>>,
    task: JoinHandle<()>,
    /// Who asks for pods that arrive one by one.
    arriving: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.task.abort();
        let arriving = self.arriving.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = arriving.take() {
            task.abort();
        }
    }
}

impl PodWatch {
    /// A watch that `task` keeps up in `table`.
    pub fn new(table: Arc<Mutex<PodTable>>, task: JoinHandle<()>) -> Self {
        Self { table, task, arriving: Mutex::new(None) }
    }

    /// Has `task` end with the watch.
    fn keep(&self, task: JoinHandle<()>) {
        *self.arriving.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// The pods as they are known now.
    pub fn table(&self) -> MutexGuard<'_, PodTable> {
        // A panic of the watch cannot leave a pod half written in a way that matters here.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Connects by `kubeconfig`; `controller` is what makes the pods of every batch.
    ///
    /// # Errors
    /// The file is unreadable or incomplete.
    pub async fn connect(kubeconfig: &Path, controller: Controller) -> Result<Self> {
        let shown = || format!("connect to the cluster of {}", kubeconfig.display());
        let file = Kubeconfig::read_from(kubeconfig).into_diagnostic().wrap_err_with(shown)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .into_diagnostic()
            .wrap_err_with(shown)?;
        let client = Client::try_from(config).into_diagnostic().wrap_err_with(shown)?;
        Ok(Self { client, controller, nodes: BTreeSet::new() })
    }

    /// Of a cluster the nodes that take the pods.
    pub fn with_nodes(client: Client, controller: Controller, nodes: BTreeSet<String>) -> Self {
        Self { client, controller, nodes }
    }

    fn counts(&self, node: Option<&String>) -> bool {
        self.nodes.is_empty() || node.is_some_and(|node| self.nodes.contains(node))
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Deletes the namespace with all that is in it, and waits until it is gone.
    ///
    /// # Errors
    /// It is somebody else's; the API refuses, or it does not go.
    pub async fn delete_namespace(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let there = namespaces.get_opt(NAMESPACE).await;
        let there = there.into_diagnostic().wrap_err("look for the namespace")?;
        let Some(namespace) = there else { return Ok(()) };
        let label = namespace.metadata.labels.as_ref().and_then(|labels| labels.get(MADE_BY.0));
        if label.map(String::as_str) != Some(MADE_BY.1) {
            return Err(miette!(
                help = "the lab deletes it at the end of a run: rename yours, or delete it",
                "the cluster has a namespace {NAMESPACE} that the lab did not make"
            ));
        }
        delete_namespace(&namespaces, NAMESPACE).await
    }

    /// Makes the namespace and waits until pods can be admitted to it.
    ///
    /// # Errors
    /// The API refuses, or the service account does not appear.
    pub async fn prepare_namespace(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(NAMESPACE.to_owned());
        let label = (MADE_BY.0.to_owned(), MADE_BY.1.to_owned());
        namespace.metadata.labels = Some(BTreeMap::from([label]));
        match namespaces.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => {
                made.into_diagnostic().wrap_err("create the namespace of the experiment")?;
            }
        }
        let begun = Instant::now();
        loop {
            let account = self.api::<ServiceAccount>().get_opt("default").await;
            if account.into_diagnostic().wrap_err("look for the service account")?.is_some() {
                return Ok(());
            }
            if begun.elapsed() > ACCOUNT_DEADLINE {
                return Err(miette!(
                    help = "the controller manager makes it: read kube-controller-manager.log",
                    "namespace {NAMESPACE} has no service account after {} s",
                    ACCOUNT_DEADLINE.as_secs()
                ));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Creates the object that makes the pods of a batch, or begins to ask for them one by one.
    ///
    /// # Errors
    /// The API refuses. A pod that it refuses alone is told by `watch`.
    pub async fn create(&self, batch: &Batch, watch: &PodWatch) -> Result<()> {
        if let Some(arrival) = batch.arrival {
            let (api, table) = (self.api(), Arc::clone(&watch.table));
            watch.keep(tokio::spawn(arrive(api, batch.clone(), arrival, table)));
            return Ok(());
        }
        let written = || format!("write the object of {}", batch.name);
        let created = match batch.controller {
            Controller::Job => {
                let job = batch.job().into_diagnostic().wrap_err_with(written)?;
                self.api::<Job>().create(&PostParams::default(), &job).await.map(drop)
            }
            Controller::Deployment => {
                let deployment = batch.deployment().into_diagnostic().wrap_err_with(written)?;
                self.api::<Deployment>().create(&PostParams::default(), &deployment).await.map(drop)
            }
        };
        created.into_diagnostic().wrap_err_with(|| format!("create {}", batch.name))
    }

    /// Deletes that object; it goes after its pods. Pods that have none are deleted themselves.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn delete(&self, batch: &str) -> Result<()> {
        let how = DeleteParams::foreground();
        let deleted = match self.controller {
            Controller::Job => self.api::<Job>().delete(batch, &how).await.map(drop),
            Controller::Deployment => self.api::<Deployment>().delete(batch, &how).await.map(drop),
        };
        match deleted {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let all = ListParams::default().labels(&format!("{BATCH_LABEL}={batch}"));
                let pods = self.api::<Pod>();
                let deleted = pods.delete_collection(&DeleteParams::default(), &all).await;
                deleted.into_diagnostic().wrap_err_with(|| format!("delete {batch}")).map(drop)
            }
            deleted => deleted.into_diagnostic().wrap_err_with(|| format!("delete {batch}")),
        }
    }

    /// Deletes single pods, all at once; whatever made them makes others.
    ///
    /// # Errors
    /// The API refuses. One that is gone already is fine.
    pub async fn delete_pods(&self, names: &[String]) -> Result<()> {
        let api = self.api::<Pod>();
        let how = DeleteParams::default();
        let deleted = join_all(names.iter().map(|name| api.delete(name, &how))).await;
        for (name, deleted) in names.iter().zip(deleted) {
            match deleted {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => {
                    deleted.into_diagnostic().wrap_err_with(|| format!("delete {name}"))?;
                }
            }
        }
        Ok(())
    }

    /// True once the object and all its pods are gone from the API.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn is_gone(&self, batch: &str) -> Result<bool> {
        let there = match self.controller {
            Controller::Job => self.api::<Job>().get_opt(batch).await.map(|it| it.is_some()),
            Controller::Deployment => {
                self.api::<Deployment>().get_opt(batch).await.map(|it| it.is_some())
            }
        };
        let there = there.into_diagnostic().wrap_err_with(|| format!("look for {batch}"))?;
        Ok(!there && self.pods(batch).await?.is_empty())
    }

    /// The pods of a batch.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn pods(&self, batch: &str) -> Result<Vec<Pod>> {
        let selected = ListParams::default().labels(&format!("{BATCH_LABEL}={batch}"));
        let pods = self.api::<Pod>().list(&selected).await;
        Ok(pods.into_diagnostic().wrap_err_with(|| format!("list the pods of {batch}"))?.items)
    }

    /// The events about a batch: its Job and its pods.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn events(&self, batch: &str) -> Result<Vec<Event>> {
        let events = self.api::<Event>().list(&ListParams::default()).await;
        let events = events.into_diagnostic().wrap_err("list the events")?.items;
        let about = |event: &Event| {
            event.involved_object.name.as_deref().is_some_and(|name| name.starts_with(batch))
        };
        Ok(events.into_iter().filter(about).collect())
    }

    /// Deletes all events of the namespace: those of earlier cells would have to be listed with
    /// the later ones'.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn forget_events(&self) -> Result<()> {
        let all = self.api::<Event>();
        let deleted = all.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
        deleted.into_diagnostic().wrap_err("delete the events").map(drop)
    }

    /// What the kubelet of each node answers to a GET, through the API server.
    ///
    /// # Errors
    /// The API server or a kubelet refuses.
    pub async fn kubelets(&self, path: &str) -> Result<Vec<String>> {
        let asked = || format!("ask the kubelet for {path}");
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await;
        let mut answers = Vec::new();
        let nodes = nodes.into_diagnostic().wrap_err("list the nodes")?.items;
        for node in nodes.into_iter().filter(|node| self.counts(node.metadata.name.as_ref())) {
            let name = node.metadata.name.unwrap_or_default();
            let request = http::Request::get(format!("/api/v1/nodes/{name}/proxy/{path}"))
                .body(Vec::new())
                .into_diagnostic()
                .wrap_err_with(asked)?;
            let answer = self.client.request_text(request).await;
            answers.push(answer.into_diagnostic().wrap_err_with(asked)?);
        }
        Ok(answers)
    }

    /// Watches the pods of a batch from now on.
    pub fn watch(&self, batch: &str) -> PodWatch {
        let table = Arc::new(Mutex::new(PodTable::default()));
        let task = tokio::spawn(keep_watching(
            self.api(),
            format!("{BATCH_LABEL}={batch}"),
            Arc::clone(&table),
        ));
        PodWatch::new(table, task)
    }

    /// The nodes' objects at metrics-server, by node; none while one of them has no figure.
    ///
    /// # Errors
    /// metrics-server does not answer.
    pub async fn node_metrics(&self) -> Result<BTreeMap<String, MetricsObject>> {
        let api: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &metrics_resource("NodeMetrics", "nodes"));
        let nodes = api.list(&ListParams::default()).await;
        let nodes = nodes.into_diagnostic().wrap_err("ask metrics-server for nodes")?;
        let named = |node: DynamicObject| {
            let name = node.metadata.name.filter(|name| self.counts(Some(name)))?;
            Some((name, serde_json::from_value(node.data).ok()?))
        };
        let objects: BTreeMap<String, MetricsObject> =
            nodes.items.into_iter().filter_map(named).collect();
        let complete = self.nodes.iter().all(|node| objects.contains_key(node));
        Ok(if complete { objects } else { BTreeMap::new() })
    }

    /// The pods' objects at metrics-server, by pod.
    ///
    /// # Errors
    /// metrics-server does not answer.
    pub async fn pod_metrics(&self) -> Result<Vec<(String, MetricsObject)>> {
        let resource = metrics_resource("PodMetrics", "pods");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        let pods = api.list(&ListParams::default()).await;
        let pods = pods.into_diagnostic().wrap_err("ask metrics-server for pods")?;
        let named =
            |pod: DynamicObject| Some((pod.metadata.name?, serde_json::from_value(pod.data).ok()?));
        Ok(pods.items.into_iter().filter_map(named).collect())
    }
}

/// Asks for the pods of a batch one by one, each at its time however long the others take.
async fn arrive(pods: Api<Pod>, batch: Batch, arrival: Arrival, table: Arc<Mutex<PodTable>>) {
    let lock = || table.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let asked = (0..batch.pods).map(|number| {
        let (pods, batch) = (&pods, &batch);
        async move {
            sleep_until(begun + Duration::from_nanos(arrival.offset_ns(number))).await;
            let name = batch.pod_name(number);
            let pod = match batch.single_pod(number) {
                Ok(pod) => pod,
                Err(error) => return Some((name, error.to_string())),
            };
            lock().pods.entry(name.clone()).or_default().requested_ns = Some(now_ns());
            let created = pods.create(&PostParams::default(), &pod).await;
            created.err().map(|error| (name, error.to_string()))
        }
    });
    for (name, refusal) in join_all(asked).await.into_iter().flatten() {
        let failure = Some(format!("not created: {refusal}"));
        lock().pods.entry(name).or_default().failure = failure;
    }
}

/// Deletes a namespace and waits until it is gone.
///
/// # Errors
/// The API refuses, or it does not go.
pub async fn delete_namespace(namespaces: &Api<Namespace>, name: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match namespaces.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            // It is being deleted already.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => {
                other.into_diagnostic().wrap_err_with(|| format!("delete namespace {name}"))?;
            }
        }
        if begun.elapsed() > GONE_LIMIT {
            bail!("the namespace {name} is still there after {} s", GONE_LIMIT.as_secs());
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn metrics_resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "metrics.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metrics.k8s.io/v1beta1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Where the log directories of a batch's pods are, below the node's root.
pub fn pod_log_dir(pod: &str, uid: &str) -> String {
    format!("/var/log/pods/{NAMESPACE}_{pod}_{uid}")
}

/// Watches until it is aborted. The server ends every watch after some minutes; a new one begins
/// with the pods that exist, so nothing is missed but the moment of the change.
async fn keep_watching(pods: Api<Pod>, labels: String, table: Arc<Mutex<PodTable>>) {
    let lock = || table.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failures = 0;
    while failures < WATCH_ATTEMPTS {
        // Version "0" means: the current pods first, then every change.
        let watch = pods.watch(&WatchParams::default().labels(&labels), "0").await;
        let error = match watch {
            Err(error) => error.to_string(),
            Ok(events) => {
                pin_mut!(events);
                let mut ending = String::new();
                while let Some(event) = events.next().await {
                    let now_ns = now_ns();
                    match event {
                        Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => {
                            failures = 0;
                            lock().observe(&pod, now_ns);
                        }
                        Ok(WatchEvent::Deleted(pod)) => lock().forget(&pod),
                        Ok(WatchEvent::Bookmark(_)) => {}
                        Ok(WatchEvent::Error(status)) => ending.clone_from(&status.message),
                        Err(error) => ending = error.to_string(),
                    }
                }
                if ending.is_empty() {
                    continue;
                }
                ending
            }
        };
        failures += 1;
        tracing::debug!(%error, failures, "the watch over pods broke");
        if failures == WATCH_ATTEMPTS {
            lock().watch_failure = Some(format!("the watch over pods broke: {error}"));
        }
        sleep(Duration::from_millis(200)).await;
    }
}
