//! The way from a set up machine to a node that takes pods, with a deadline for every step of it:
//! the same for a native node and inside a virtual machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use wamr_image::WorkloadImage;
use wamr_progress::Progress;

use crate::command_output::succeeded;
use crate::error_chain::chain;
use crate::layout::CONTAINERD_SOCKET;
use crate::network::NODE_ADDRESS;
use crate::prepare::Prepared;
use crate::site::Site;

const CONTAINERD_LIMIT: Duration = Duration::from_mins(2);
/// Minutes because a loaded or emulated machine is slow, not because it is usual.
const APISERVER_LIMIT: Duration = Duration::from_mins(12);
const NODE_LIMIT: Duration = Duration::from_mins(12);
const IMPORT_LIMIT: Duration = Duration::from_mins(5);

/// The daemon that takes images.
pub const CONTAINERD: &str = "containerd";
const APISERVER: &str = "kube-apiserver";
/// Started at once; the others wait for the API server, and metrics-server for its rights.
const FIRST: [&str; 3] = [CONTAINERD, "etcd", APISERVER];
const LAST: &str = "metrics-server";

/// Starts the daemons in their order and waits until the node takes pods; without a control plane,
/// until containerd has the images.
///
/// # Errors
/// A daemon did not come up: the text says which, with the end of its log.
pub fn start_all(
    node: &Site<'_>,
    prepared: &Prepared,
    workloads: &BTreeMap<String, WorkloadImage>,
    progress: &Progress,
) -> Result<()> {
    let start = |wanted: &dyn Fn(&str) -> bool| {
        prepared.daemons.iter().filter(|d| wanted(&d.name)).try_for_each(|d| node.start(d))
    };
    start(&|name| FIRST.contains(&name))?;
    let imports = during(progress, CONTAINERD, || {
        wait_for_containerd(node)?;
        begin_imports(node, workloads)
    })?;
    if !prepared.daemons.iter().any(|daemon| daemon.name == APISERVER) {
        during(progress, "images", || end_imports(node, workloads, imports))?;
        return node.check();
    }
    during(progress, APISERVER, || wait_for_apiserver(node))?;
    start(&|name| !FIRST.contains(&name) && name != LAST)?;
    during(progress, "node Ready", || {
        create_objects(node, &prepared.objects)?;
        start(&|name| name == LAST)?;
        wait_for_node(node, node)
    })?;
    during(progress, "images", || end_imports(node, workloads, imports))?;
    node.check()
}

fn during<T>(progress: &Progress, title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let step = progress.step(title);
    let outcome = work();
    match &outcome {
        Ok(_) => step.done("ready"),
        Err(_) => step.failed("the node is taken down"),
    }
    outcome
}

/// Repeats `probe` until it succeeds. Its error text says what is still missing.
fn wait_for<T>(
    node: &Site<'_>,
    daemon: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        node.check()?;
        match probe() {
            Ok(value) => return Ok(value),
            Err(missing) if begun.elapsed() > limit => {
                let tail = node.tail(daemon);
                bail!("{daemon} is not ready after {} s: {missing}{tail}", limit.as_secs())
            }
            // At most half the time goes into asking: a probe may cost more than what it waits for.
            Err(_) => thread::sleep(asked.elapsed().max(Duration::from_millis(50))),
        }
    }
}

/// Waits until containerd listens.
///
/// # Errors
/// It does not, or a daemon of the node ended.
pub fn wait_for_containerd(node: &Site<'_>) -> Result<()> {
    let socket = node.root().join(CONTAINERD_SOCKET.trim_start_matches('/'));
    wait_for(node, CONTAINERD, CONTAINERD_LIMIT, || {
        UnixStream::connect(&socket).map(drop).map_err(|error| format!("connect: {error}"))
    })
}

/// First the port, which costs nothing to ask, then readiness through kubectl.
fn wait_for_apiserver(node: &Site<'_>) -> Result<()> {
    wait_for(node, APISERVER, APISERVER_LIMIT, || connect_inside(node))?;
    wait_for(node, APISERVER, APISERVER_LIMIT, || get_raw(node, "/readyz").map(drop))
}

/// Connects to the API server; for a native node from a thread that enters its network.
fn connect_inside(node: &Site<'_>) -> Result<(), String> {
    let Site::Native(node) = node else { return connect() };
    let namespace = node.network_namespace().map_err(|error| error.to_string())?;
    let attempt = thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(|error| format!("setns: {error}"))?;
        connect()
    });
    attempt.join().unwrap_or_else(|_| Err("the connecting thread panicked".to_owned()))
}

fn connect() -> Result<(), String> {
    let address: Ipv4Addr = NODE_ADDRESS.parse().map_err(|error| format!("{error}"))?;
    TcpStream::connect_timeout(&SocketAddr::from((address, 6443)), Duration::from_secs(1))
        .map(drop)
        .map_err(|error| format!("connect to {address}:6443: {error}"))
}

/// The body that the API server answers to a GET.
fn get_raw(node: &Site<'_>, path: &str) -> Result<String, String> {
    node.output(&["kubectl", "get", "--raw", path]).map_err(|error| chain(&error))
}

fn create_objects(node: &Site<'_>, objects: &Value) -> Result<()> {
    let argv = ["kubectl", "create", "--validate=false", "-f", "-"];
    let mut child = node
        .command(&argv)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()
        .wrap_err("start kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(objects.to_string().as_bytes())
            .into_diagnostic()
            .wrap_err("hand the objects to kubectl")?;
    }
    succeeded(child, &argv).map(drop)
}

/// Waits until `node` is Ready, without the taint of a new node, and the namespace of pods has what
/// admission asks for. `api` is the node that can be asked.
///
/// # Errors
/// It does not come so far, or a daemon of it ended.
pub fn wait_for_node(api: &Site<'_>, node: &Site<'_>) -> Result<()> {
    let path = format!("/api/v1/nodes/{}", node.name());
    wait_for(node, "kubelet", NODE_LIMIT, || {
        let object: Value =
            serde_json::from_str(&get_raw(api, &path)?).map_err(|error| error.to_string())?;
        takes_pods(&object)
    })?;
    let default = "/api/v1/namespaces/default";
    for path in [
        format!("{default}/serviceaccounts/default"),
        format!("{default}/configmaps/kube-root-ca.crt"),
    ] {
        wait_for(api, "kube-controller-manager", NODE_LIMIT, || get_raw(api, &path))?;
    }
    Ok(())
}

/// Whether a Node object is Ready and untainted, or what it lacks.
fn takes_pods(node: &Value) -> Result<(), String> {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    match ready {
        None => return Err("the Node object has no Ready condition yet".to_owned()),
        Some(ready) if ready["status"] != "True" => {
            return Err(format!("the node is not Ready: {}", ready["message"]));
        }
        Some(_) => {}
    }
    match node["spec"]["taints"].as_array() {
        Some(taints) if !taints.is_empty() => Err(format!("the node is tainted: {}", taints[0])),
        _ => Ok(()),
    }
}

/// An import under way; ended with its owner.
pub struct Import {
    reference: String,
    child: Option<Child>,
}

impl Drop for Import {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}

const IMPORT: [&str; 6] = ["ctr", "--namespace", "k8s.io", "images", "import", "-"];

/// Begins to import all images.
///
/// # Errors
/// An archive is not there.
pub fn begin_imports(
    node: &Site<'_>,
    workloads: &BTreeMap<String, WorkloadImage>,
) -> Result<Vec<Import>> {
    let begin = |archive: &Path| {
        let file = File::open(archive).into_diagnostic()?;
        node.command(&IMPORT)
            .stdin(file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .into_diagnostic()
    };
    workloads
        .values()
        .map(|image| {
            let child = begin(&image.archive)
                .wrap_err_with(|| format!("import {}", image.archive.display()))?;
            Ok(Import { reference: image.reference.clone(), child: Some(child) })
        })
        .collect()
}

/// Waits for the imports, and sees that containerd has the images.
///
/// # Errors
/// An import failed.
pub fn end_imports(
    node: &Site<'_>,
    workloads: &BTreeMap<String, WorkloadImage>,
    imports: Vec<Import>,
) -> Result<()> {
    for mut import in imports {
        wait_for(node, CONTAINERD, IMPORT_LIMIT, || match &mut import.child {
            Some(child) => match child.try_wait() {
                Ok(None) => Err(format!("{} is being imported", import.reference)),
                Ok(Some(_)) | Err(_) => Ok(()),
            },
            None => Ok(()),
        })?;
        if let Some(child) = import.child.take() {
            succeeded(child, &IMPORT).wrap_err_with(|| format!("import {}", import.reference))?;
        }
    }
    let listed = node.output(&["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"])?;
    for image in workloads.values() {
        if !listed.lines().any(|line| line == image.reference) {
            bail!(
                "{} does not hold {}; containerd has: {}",
                image.archive.display(),
                image.reference,
                listed.replace('\n', " ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_takes_pods_when_it_is_ready_and_untainted() {
        let node = |status: &str, taints: Value| {
            json!({
                "spec": { "taints": taints },
                "status": { "conditions": [
                    { "type": "MemoryPressure", "status": "False" },
                    { "type": "Ready", "status": status, "message": "cni plugin not initialized" }
                ] }
            })
        };
        let missing = |node: &Value| takes_pods(node).unwrap_err();
        assert_eq!(takes_pods(&node("True", Value::Null)), Ok(()));
        assert!(missing(&node("False", Value::Null)).contains("cni plugin"));
        assert!(missing(&node("True", json!([{ "key": "not-ready" }]))).contains("not-ready"));
        assert!(missing(&json!({})).contains("no Ready condition"));
    }
}
