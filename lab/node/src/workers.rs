//! The workers of a native cluster join its control plane: namespaces of their own, a wire between
//! them, containerd and the kubelet.

use std::process::Stdio;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::json;
use wamr_progress::Progress;

use crate::command_output::output_of;
use crate::config::NodeConfig;
use crate::member::Member;
use crate::native_node::NativeNode;
use crate::network::{join_commands, wire_commands};
use crate::prepare::Prepared;
use crate::site::Site;
use crate::spawn::spawn_init;
use crate::start::{CONTAINERD, begin_imports, end_imports, wait_for_containerd, wait_for_node};

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// Brings the workers up and hands them to the control plane. All of a step is begun before any of
/// it is waited for.
///
/// # Errors
/// A worker does not come up. The workers are taken down with the control plane.
pub fn join(
    config: &NodeConfig,
    control_plane: &mut NativeNode,
    prepared: &Prepared,
    progress: &Progress,
) -> Result<()> {
    if prepared.workers.is_empty() {
        return Ok(());
    }
    let step = progress.counted("workers", prepared.workers.len() as u64);
    let mut workers = Vec::new();
    for worker in &prepared.workers {
        let spawned = spawn_init(config, worker.member.clone(), &worker.daemons);
        workers.push(spawned.wrap_err_with(|| format!("bring {} up", worker.member.name))?);
    }
    let joined = connect(control_plane, &workers)
        .and_then(|()| start(config, control_plane, &workers, || step.advance(1)))
        .and_then(|()| mark(control_plane, &workers));
    control_plane.set_workers(workers);
    match joined {
        Ok(()) => {
            step.done("ready");
            Ok(())
        }
        Err(error) => {
            step.failed("the cluster is taken down");
            Err(error)
        }
    }
}

/// Lays the wire and the routes.
fn connect(control_plane: &NativeNode, workers: &[NativeNode]) -> Result<()> {
    let mut all = vec![control_plane.member().clone()];
    all.extend(workers.iter().map(|worker| worker.member().clone()));
    for line in wire_commands(&all[0]) {
        ip(control_plane, &line, None)?;
    }
    let plans: Vec<_> = workers.iter().map(|worker| join_commands(worker.member(), &all)).collect();
    for (worker, (at_control_plane, _)) in workers.iter().zip(&plans) {
        for line in at_control_plane {
            // The first makes the interface of a worker whose address the last one needs.
            ip(control_plane, line, Some(worker))?;
        }
    }
    for (worker, (_, at_worker)) in workers.iter().zip(&plans) {
        at_worker.iter().try_for_each(|line| ip(worker, line, None))?;
    }
    Ok(())
}

/// Runs the node's `ip`, with the network namespace of `peer` as standard input.
fn ip(node: &NativeNode, arguments: &str, peer: Option<&NativeNode>) -> Result<()> {
    let argv: Vec<&str> = std::iter::once("ip").chain(arguments.split(' ')).collect();
    let mut command = node.command(&argv);
    match peer {
        Some(peer) => {
            let namespace = peer.network_namespace().into_diagnostic();
            command.stdin(namespace.wrap_err("open a worker's network namespace")?)
        }
        None => command.stdin(Stdio::null()),
    };
    let output = command.output().into_diagnostic().wrap_err("start ip")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(miette!("ip {arguments} in {}: {}: {}", node.name(), output.status, said.trim()))
}

/// Starts the workers' daemons and waits until each takes pods.
fn start(
    config: &NodeConfig,
    control_plane: &NativeNode,
    workers: &[NativeNode],
    ready: impl Fn(),
) -> Result<()> {
    let workloads = &config.image.workloads;
    let begin = |worker: &NativeNode, containerd: bool| {
        let mine = worker.daemons().iter().filter(|d| (d.name == CONTAINERD) == containerd);
        mine.cloned().collect::<Vec<_>>().iter().try_for_each(|daemon| worker.start(daemon))
    };
    workers.iter().try_for_each(|worker| begin(worker, true))?;
    let mut imports = Vec::new();
    for worker in workers {
        wait_for_containerd(&Site::Native(worker))?;
        imports.push(begin_imports(&Site::Native(worker), workloads)?);
        begin(worker, false)?;
    }
    for (worker, imports) in workers.iter().zip(imports) {
        wait_for_node(&Site::Native(control_plane), &Site::Native(worker))?;
        end_imports(&Site::Native(worker), workloads, imports)?;
        worker.check().wrap_err_with(|| format!("the worker {} broke", worker.name()))?;
        ready();
    }
    Ok(())
}

/// Says in the API which node is what. As with kubeadm, pods go to workers only: what the control
/// plane's memory does is then no part of what pods cost.
fn mark(control_plane: &NativeNode, workers: &[NativeNode]) -> Result<()> {
    let own = control_plane.name();
    kubectl(control_plane, &["label", "node", own, &format!("{CONTROL_PLANE}=")])?;
    kubectl(control_plane, &["taint", "node", own, &format!("{CONTROL_PLANE}=:NoSchedule")])?;
    for worker in workers {
        let patch = worker_patch(worker.member()).to_string();
        kubectl(control_plane, &["patch", "node", worker.name(), "--patch", &patch])?;
    }
    Ok(())
}

fn worker_patch(worker: &Member) -> serde_json::Value {
    json!({
        "metadata": { "labels": { "node-role.kubernetes.io/worker": "" } },
        "spec": { "podCIDR": worker.pod_subnet(), "podCIDRs": [worker.pod_subnet()] },
    })
}

fn kubectl(node: &NativeNode, arguments: &[&str]) -> Result<()> {
    let argv: Vec<&str> = std::iter::once("kubectl").chain(arguments.iter().copied()).collect();
    output_of(&mut node.command(&argv), &argv).map(drop)
}
