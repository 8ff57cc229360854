//! Runs commands of the lab in its pods on the nodes of a cluster, through `exec` of the API.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, AttachParams, AttachedProcess, ListParams};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::installer_objects::{CONTAINER, LAB, NAME, POD_LABEL};

/// Longest wait for something run in a pod.
pub const EXEC_LIMIT: Duration = Duration::from_mins(1);
const FEED_LIMIT: Duration = Duration::from_mins(5);

/// The lab's pods on a cluster.
#[derive(Clone)]
pub struct RemoteExec {
    client: Client,
}

impl RemoteExec {
    /// By a connection.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAME)
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
        let argv: Vec<&str> =
            [LAB, "on-node"].into_iter().chain(arguments.iter().copied()).collect();
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
