//! The pods of a batch, from RunPodSandbox to RemovePodSandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use miette::{IntoDiagnostic, Result, WrapErr};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::call::Connection;
use super::generated::{
    ContainerFilter, ContainerState, ContainerStatusRequest, ContainerStatusResponse,
    CreateContainerRequest, CreateContainerResponse, ListContainersRequest, ListContainersResponse,
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxFilter, PodSandboxState,
    RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest, RunPodSandboxResponse,
    StartContainerRequest, StartContainerResponse, StopPodSandboxRequest, StopPodSandboxResponse,
};
use super::request;
use crate::clock::now_ns;
use crate::cluster::kubernetes::{PodWatch, pod_log_dir};
use crate::cluster::manifest::{Batch, CONTAINER};
use crate::cluster::pod_table::{PodTable, SeenPod};

/// As often as the kubelet asks containerd whether containers still run.
const POLL: Duration = Duration::from_secs(1);

type Table = Arc<Mutex<PodTable>>;

/// containerd of a node, and the batch that is on it.
#[derive(Debug)]
pub struct CriPods {
    connection: Connection,
    /// The node's root directory, seen from here.
    root: PathBuf,
    /// Pods of the batch that was watched last.
    table: Mutex<Table>,
    /// Pods under way.
    starting: Mutex<Vec<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A task that panicked cannot leave a pod half written in a way that matters here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CriPods {
    /// Connects to containerd of the node whose root directory is `root` here.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connect(root: PathBuf) -> Result<Self> {
        let socket = root.join("run/containerd/containerd.sock");
        let connection = Connection::open(&socket).await?;
        Ok(Self { connection, root, table: Mutex::default(), starting: Mutex::default() })
    }

    /// Watches the pods of `batch` from now on.
    pub fn watch(&self, batch: &str) -> PodWatch {
        let table = Table::default();
        *lock(&self.table) = Arc::clone(&table);
        let task = tokio::spawn(keep_watching(
            self.connection.clone(),
            batch.to_owned(),
            Arc::clone(&table),
        ));
        PodWatch::new(table, task)
    }

    /// Asks for all pods of a batch at once, as the kubelet does with pods that were bound to its
    /// node together, or for each at its time. It does not wait for them.
    ///
    /// # Errors
    /// A directory for logs cannot be made.
    pub fn create(&self, batch: &Batch) -> Result<()> {
        let (made_ns, begun) = (now_ns(), Instant::now());
        let table = Arc::clone(&lock(&self.table));
        let mut starting = lock(&self.starting);
        starting.clear();
        for index in 0..batch.pods {
            let (name, uid) = (format!("{}-{index}", batch.name), request::uid(made_ns, index));
            let logs = pod_log_dir(&name, &uid);
            let logs = self.root.join(logs.trim_start_matches('/')).join(CONTAINER);
            fs::create_dir_all(&logs)
                .into_diagnostic()
                .wrap_err_with(|| format!("make {}", logs.display()))?;
            let pod = SeenPod { uid, ..SeenPod::default() };
            lock(&table).pods.insert(name.clone(), pod.clone());
            let (connection, batch) = (self.connection.clone(), batch.clone());
            let table = Arc::clone(&table);
            let offset_ns = batch.arrival.map(|arrival| arrival.offset_ns(index));
            starting.push(tokio::spawn(async move {
                if let Some(offset_ns) = offset_ns {
                    sleep_until(begun + Duration::from_nanos(offset_ns)).await;
                    if let Some(seen) = lock(&table).pods.get_mut(&name) {
                        seen.requested_ns = Some(now_ns());
                    }
                }
                let started = start(&connection, &batch, &name, &pod.uid).await;
                let mut table = lock(&table);
                let Some(seen) = table.pods.get_mut(&name) else { return };
                match started {
                    Ok(id) => {
                        seen.running_ns = Some(now_ns());
                        seen.container_id = Some(id);
                        seen.runs = true;
                    }
                    Err(error) => seen.failure = Some(error.to_string()),
                }
            }));
        }
        Ok(())
    }

    /// Stops and removes all sandboxes of a batch, their containers with them, and what the
    /// kubelet would have removed: control groups and logs.
    ///
    /// # Errors
    /// containerd refuses.
    pub async fn delete(&self, batch: &str) -> Result<()> {
        let starting = std::mem::take(&mut *lock(&self.starting));
        for task in starting {
            // A sandbox that is being made would not be on the list below.
            drop(task.await);
        }
        let sandboxes = list(&self.connection, batch).await?;
        let removed = sandboxes.iter().map(|sandbox| async {
            let pod_sandbox_id = sandbox.id.clone();
            let ask = StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() };
            let _: StopPodSandboxResponse = self.connection.call("StopPodSandbox", ask).await?;
            let ask = RemovePodSandboxRequest { pod_sandbox_id };
            let _: RemovePodSandboxResponse = self.connection.call("RemovePodSandbox", ask).await?;
            Ok::<(), miette::Report>(())
        });
        for removed in join_all(removed).await {
            removed.wrap_err_with(|| format!("remove the pods of {batch}"))?;
        }
        for (name, pod) in &lock(&lock(&self.table)).pods {
            self.remove_traces(name, &pod.uid);
        }
        Ok(())
    }

    /// Nothing depends on them, so what cannot be removed stays.
    fn remove_traces(&self, name: &str, uid: &str) {
        let inside = |path: &str| self.root.join(path.trim_start_matches('/'));
        drop(fs::remove_dir_all(inside(&pod_log_dir(name, uid))));
        let group = request::pod_cgroup(uid);
        let hierarchies = inside("/sys/fs/cgroup");
        let mut above = vec![hierarchies.clone()];
        above.extend(
            fs::read_dir(hierarchies).into_iter().flatten().flatten().map(|entry| entry.path()),
        );
        for hierarchy in above {
            drop(fs::remove_dir(hierarchy.join(group.trim_start_matches('/'))));
        }
    }

    /// True once containerd has no sandbox of the batch.
    ///
    /// # Errors
    /// containerd refuses.
    pub async fn is_gone(&self, batch: &str) -> Result<bool> {
        Ok(list(&self.connection, batch).await?.is_empty())
    }

    /// The pods of the batch that is watched, as much as Kubernetes would say of them.
    pub fn pods(&self) -> Vec<Pod> {
        let table = Arc::clone(&lock(&self.table));
        let pod = |(name, seen): (&String, &SeenPod)| {
            let mut pod = Pod::default();
            pod.metadata.name = Some(name.clone());
            pod.metadata.uid = Some(seen.uid.clone());
            pod.status = Some(PodStatus { message: seen.failure.clone(), ..PodStatus::default() });
            pod
        };
        lock(&table).pods.iter().map(pod).collect()
    }
}

/// Makes one pod; returns the id of its container, or of its sandbox if that is all.
async fn start(connection: &Connection, batch: &Batch, name: &str, uid: &str) -> Result<String> {
    let config = request::sandbox(batch, name, uid);
    let ask = RunPodSandboxRequest {
        config: Some(config.clone()),
        runtime_handler: batch.handler.clone(),
    };
    let sandbox: RunPodSandboxResponse = connection.call("RunPodSandbox", ask).await?;
    if batch.sandbox_only {
        return Ok(sandbox.pod_sandbox_id);
    }
    let ask = CreateContainerRequest {
        pod_sandbox_id: sandbox.pod_sandbox_id,
        config: Some(request::container(batch)),
        sandbox_config: Some(config),
    };
    let CreateContainerResponse { container_id } = connection.call("CreateContainer", ask).await?;
    let ask = StartContainerRequest { container_id: container_id.clone() };
    let _: StartContainerResponse = connection.call("StartContainer", ask).await?;
    Ok(container_id)
}

async fn list(connection: &Connection, batch: &str) -> Result<Vec<PodSandbox>> {
    let filter = Some(PodSandboxFilter { label_selector: request::labels(batch) });
    let ask = ListPodSandboxRequest { filter };
    let listed: ListPodSandboxResponse = connection.call("ListPodSandbox", ask).await?;
    Ok(listed.items)
}

/// Looks once a second whether what ran still runs, until it is aborted.
async fn keep_watching(connection: Connection, batch: String, table: Table) {
    loop {
        sleep(POLL).await;
        if let Err(error) = look(&connection, &batch, &table).await {
            lock(&table).watch_failure = Some(format!("{error:?}"));
        }
    }
}

async fn look(connection: &Connection, batch: &str, table: &Table) -> Result<()> {
    let filter = Some(ContainerFilter { label_selector: request::labels(batch) });
    let ask = ListContainersRequest { filter };
    let containers: ListContainersResponse = connection.call("ListContainers", ask).await?;
    let running = containers.containers.into_iter();
    let mut running: BTreeSet<String> = running
        .filter(|found| found.state() == ContainerState::ContainerRunning)
        .map(|found| found.id)
        .collect();
    let sandboxes = list(connection, batch).await?.into_iter();
    let ready = sandboxes.filter(|sandbox| sandbox.state() == PodSandboxState::SandboxReady);
    running.extend(ready.map(|sandbox| sandbox.id));
    let mut ended = Vec::new();
    for (name, pod) in &mut lock(table).pods {
        let Some(id) = pod.container_id.clone() else { continue };
        pod.runs = running.contains(&id);
        if !pod.runs && pod.failure.is_none() {
            ended.push((name.clone(), id));
        }
    }
    for (name, id) in ended {
        let why = exit_words(connection, id).await;
        if let Some(pod) = lock(table).pods.get_mut(&name) {
            pod.failure = Some(why);
        }
    }
    Ok(())
}

async fn exit_words(connection: &Connection, container_id: String) -> String {
    let ask = ContainerStatusRequest { container_id };
    let answer: Result<ContainerStatusResponse> = connection.call("ContainerStatus", ask).await;
    match answer.map(|answer| answer.status) {
        Ok(Some(status)) => {
            let words = format!("{}, exit code {}", status.reason, status.exit_code);
            if status.message.is_empty() { words } else { format!("{words}: {}", status.message) }
        }
        Ok(None) => "it ended".to_owned(),
        Err(error) => format!("it ended: {error}"),
    }
}
