//! The way from nothing to a node that takes pods, with a deadline for every step of it.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use wamr_progress::Progress;

use crate::config::NodeConfig;
use crate::init::{KEEPER, chain};
use crate::layout::{CONTAINERD_SOCKET, Layout};
use crate::native::{NativeNode, ProcessId, Record};
use crate::network::NODE_ADDRESS;
use crate::prepare::{self, Prepared};
use crate::traces;
use crate::wire::{Channel, Event, Received, Spec};

const NAMESPACES_LIMIT: Duration = Duration::from_secs(20);
const CONTAINERD_LIMIT: Duration = Duration::from_secs(30);
/// Minutes because a loaded or emulated machine is slow, not because it is usual.
const APISERVER_LIMIT: Duration = Duration::from_mins(5);
const NODE_LIMIT: Duration = Duration::from_mins(5);
const IMPORT_LIMIT: Duration = Duration::from_mins(5);

const CONTAINERD: &str = "containerd";
const APISERVER: &str = "kube-apiserver";
/// Started at once; the others wait for the API server, and metrics-server for its rights.
const FIRST: [&str; 3] = [CONTAINERD, "etcd", APISERVER];
const LAST: &str = "metrics-server";

/// See [`NativeNode::up`].
pub fn bring_up(config: &NodeConfig, progress: &Progress) -> Result<NativeNode> {
    config.check()?;
    if !nix::unistd::geteuid().is_root() {
        return Err(miette!(
            help = "run it with sudo",
            "a node needs root: it mounts, and makes namespaces and control groups"
        ));
    }
    prepare::reserve(&config.name)?;
    let step = progress.step("namespaces");
    let begun = prepare::write_files(config)
        .and_then(|prepared| Ok((spawn_init(config, &prepared)?, prepared)));
    let (node, prepared) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            step.failed("the node is removed");
            return Err(give_up(config, error));
        }
    };
    step.done(&format!("PID 1 of the node is {}", node.init_pid()));
    match start_all(&node, config, &prepared, progress) {
        Ok(()) => Ok(node),
        Err(error) => {
            keep_logs(&config.name);
            drop(node);
            Err(with_log_help(config, &error))
        }
    }
}

/// Removes a node of which no process runs yet.
fn give_up(config: &NodeConfig, error: miette::Report) -> miette::Report {
    keep_logs(&config.name);
    match traces::remove(&config.name) {
        Ok(()) => error,
        Err(second) => error.wrap_err(format!("then, removing the node: {}", chain(&second))),
    }
}

fn with_log_help(config: &NodeConfig, error: &miette::Report) -> miette::Report {
    let logs = Layout::new(&config.name).failed_log();
    miette!(help = format!("all logs of the node: {}", logs.display()), "{}", chain(error))
}

/// Copies the logs out of what is about to be removed. Best effort: an error is on its way.
fn keep_logs(name: &str) {
    let layout = Layout::new(name);
    let to = layout.failed_log();
    let copy = || -> std::io::Result<()> {
        if fs::read_dir(layout.log()).is_ok_and(|mut logs| logs.next().is_none()) {
            return Ok(());
        }
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(layout.log())? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    if let Err(error) = copy() {
        eprintln!("keep the node's logs in {}: {error}", to.display());
    }
}

/// Starts keeper and init, and waits until mounts and network are up.
fn spawn_init(config: &NodeConfig, prepared: &Prepared) -> Result<NativeNode> {
    let (ours, theirs) = UnixStream::pair().into_diagnostic().wrap_err("socketpair")?;
    let log = Layout::new(&config.name).log().join("keeper.log");
    let log = File::create(&log).into_diagnostic().wrap_err_with(|| log.display().to_string())?;
    let mut keeper = Command::new("/proc/self/exe")
        .arg0(KEEPER)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .into_diagnostic()
        .wrap_err("start this program again as the node's keeper")?;
    let begun = converse(config, prepared, Channel::new(ours), keeper.id());
    match begun.and_then(|(record, channel)| Ok((write_record(record)?, channel))) {
        Ok((record, channel)) => NativeNode::new(record, keeper, channel),
        Err(error) => {
            // The socket is closed by now, so both end by themselves; init also with its parent.
            keeper
                .kill()
                .and_then(|()| keeper.wait())
                .into_diagnostic()
                .wrap_err("end the keeper")?;
            Err(error)
        }
    }
}

fn converse(
    config: &NodeConfig,
    prepared: &Prepared,
    mut channel: Channel,
    keeper_pid: u32,
) -> Result<(Record, Channel)> {
    let spec = Spec { name: config.name.clone(), rootfs: config.image.rootfs.clone() };
    channel.send(&spec).into_diagnostic().wrap_err("describe the node to its keeper")?;
    let (mut init_pid, mut ready) = (None, false);
    let deadline = Instant::now() + NAMESPACES_LIMIT;
    while init_pid.is_none() || !ready {
        let rest = deadline.saturating_duration_since(Instant::now());
        match channel.receive(rest).into_diagnostic().wrap_err("hear from the node's keeper")? {
            Received::Message(Event::Init { pid }) => init_pid = Some(pid),
            Received::Message(Event::Ready) => ready = true,
            Received::Message(Event::Failed { what }) => bail!("set up the node: {what}"),
            Received::Message(other) => bail!("the node's init says {other:?} before it is ready"),
            Received::Closed => bail!(
                "the node's keeper ended early; does main() call wamr_node::init::enter_if_asked?"
            ),
            Received::Nothing => bail!("mounts and network took over {NAMESPACES_LIMIT:?}"),
        }
    }
    let identify = |pid: u32| ProcessId::of(pid).into_diagnostic().wrap_err("read its start time");
    let record = Record {
        name: config.name.clone(),
        init: identify(init_pid.unwrap_or_default())?,
        keeper: identify(keeper_pid)?,
        control_plane: config.control_plane,
        daemons: prepared.daemons.clone(),
    };
    Ok((record, channel))
}

fn write_record(record: Record) -> Result<Record> {
    let path = Layout::new(&record.name).record();
    let text = serde_json::to_string_pretty(&record).into_diagnostic()?;
    fs::write(&path, text)
        .into_diagnostic()
        .wrap_err_with(|| format!("write {}", path.display()))?;
    Ok(record)
}

/// Starts the daemons in their order and waits until the node takes pods.
fn start_all(
    node: &NativeNode,
    config: &NodeConfig,
    prepared: &Prepared,
    progress: &Progress,
) -> Result<()> {
    let start = |wanted: &dyn Fn(&str) -> bool| {
        prepared.daemons.iter().filter(|d| wanted(&d.name)).try_for_each(|d| node.start(d))
    };
    start(&|name| FIRST.contains(&name))?;
    let imports = during(progress, CONTAINERD, || {
        wait_for_containerd(node)?;
        begin_imports(node, config)
    })?;
    during(progress, APISERVER, || wait_for_apiserver(node))?;
    start(&|name| !FIRST.contains(&name) && name != LAST)?;
    during(progress, "node Ready", || {
        create_objects(node, &prepared.objects)?;
        start(&|name| name == LAST)?;
        wait_for_node(node)
    })?;
    during(progress, "images", || end_imports(node, config, imports))?;
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
    node: &NativeNode,
    daemon: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        node.check()?;
        let asked = Instant::now();
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

fn wait_for_containerd(node: &NativeNode) -> Result<()> {
    let socket = node.root().join(CONTAINERD_SOCKET.trim_start_matches('/'));
    wait_for(node, CONTAINERD, CONTAINERD_LIMIT, || {
        UnixStream::connect(&socket).map(drop).map_err(|error| format!("connect: {error}"))
    })
}

/// First the port, which costs nothing to ask, then readiness through kubectl.
fn wait_for_apiserver(node: &NativeNode) -> Result<()> {
    wait_for(node, APISERVER, APISERVER_LIMIT, || connect_inside(node))?;
    wait_for(node, APISERVER, APISERVER_LIMIT, || get_raw(node, "/readyz").map(drop))
}

/// Connects to the API server from a thread that enters the node's network.
fn connect_inside(node: &NativeNode) -> Result<(), String> {
    let namespace = node.network_namespace().map_err(|error| error.to_string())?;
    let address: Ipv4Addr = NODE_ADDRESS.parse().map_err(|error| format!("{error}"))?;
    let attempt = thread::spawn(move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(|error| format!("setns: {error}"))?;
        TcpStream::connect_timeout(&SocketAddr::from((address, 6443)), Duration::from_secs(1))
            .map(drop)
            .map_err(|error| format!("connect to {address}:6443: {error}"))
    });
    attempt.join().unwrap_or_else(|_| Err("the connecting thread panicked".to_owned()))
}

/// The body that the API server answers to a GET.
fn get_raw(node: &NativeNode, path: &str) -> Result<String, String> {
    node.output(&["kubectl", "get", "--raw", path]).map_err(|error| chain(&error))
}

fn create_objects(node: &NativeNode, objects: &Value) -> Result<()> {
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

/// Ready, without the taint of a new node, and with what admission asks of a pod's namespace.
fn wait_for_node(node: &NativeNode) -> Result<()> {
    let path = format!("/api/v1/nodes/{}", node.name());
    wait_for(node, "kubelet", NODE_LIMIT, || {
        let object: Value =
            serde_json::from_str(&get_raw(node, &path)?).map_err(|error| error.to_string())?;
        takes_pods(&object)
    })?;
    let default = "/api/v1/namespaces/default";
    for path in [
        format!("{default}/serviceaccounts/default"),
        format!("{default}/configmaps/kube-root-ca.crt"),
    ] {
        wait_for(node, "kube-controller-manager", NODE_LIMIT, || get_raw(node, &path))?;
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
struct Import {
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

fn begin_imports(node: &NativeNode, config: &NodeConfig) -> Result<Vec<Import>> {
    let begin = |archive: &Path| {
        let file = File::open(archive).into_diagnostic()?;
        node.command(&IMPORT)
            .stdin(file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .into_diagnostic()
    };
    let images = config.image.workloads.values();
    images
        .map(|image| {
            let child = begin(&image.archive)
                .wrap_err_with(|| format!("import {}", image.archive.display()))?;
            Ok(Import { reference: image.reference.clone(), child: Some(child) })
        })
        .collect()
}

fn end_imports(node: &NativeNode, config: &NodeConfig, imports: Vec<Import>) -> Result<()> {
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
    for image in config.image.workloads.values() {
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

/// Runs a command inside the node for its standard output.
pub fn output_of(command: &mut Command, argv: &[&str]) -> Result<String> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {}", argv.join(" ")))?;
    succeeded(child, argv)
}

fn succeeded(child: Child, argv: &[&str]) -> Result<String> {
    let output = child.wait_with_output().into_diagnostic().wrap_err("wait for a command")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("{}: {}: {}", argv.join(" "), output.status, text.trim())
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
