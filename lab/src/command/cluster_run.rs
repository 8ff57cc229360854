//! A run on a cluster that exists: its nodes are read by the lab's pods, its pods are made by its
//! own Kubernetes, and what the run brought along is taken away again.

use std::collections::{BTreeMap, BTreeSet};

use miette::{Result, bail, miette};
use serde_json::json;
use wamr_image::{NodeImage, WorkloadImage};
use wamr_record::environment::ClusterNode;
use wamr_record::experiment::Experiment;

use super::Context;
use super::cluster::refuse;
use super::measuring::{Outcome, chosen_cells, conclude, sweep_until};
use crate::cli::TargetArgs;
use crate::cluster::installer::Installer;
use crate::cluster::kubernetes::{Cluster, NAMESPACE};
use crate::cluster::namespace_thread;
use crate::cluster::remote_exec::RemoteExec;
use crate::cluster::target::Target;
use crate::environment::{self, MachineFacts};
use crate::heaps::Heaps;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::matrix::PlannedCell;
use crate::observer::aggregate::Observers;
use crate::observer::clocks;
use crate::observer::per_node::{Observer, Reader};
use crate::observer::question::{ReadFacts, boot_id};
use crate::observer::remote::RemoteSampler;
use crate::observer::sampler::Sampler;
use crate::place::{NativeAccess, native_access};
use crate::pod_maker::PodMaker;
use crate::releases::Releases;
use crate::run_dir::session::Session;
use crate::sweep::{Stretch, Tally};

/// The nodes of a cluster, opened for a run.
struct OpenedNodes {
    observers: Vec<Observer>,
    facts: BTreeMap<String, (MachineFacts, ClusterNode)>,
}

/// Says what a run does to a cluster unless that is wanted.
///
/// # Errors
/// It is not.
pub fn refuse_unless_meant(
    experiment: &Experiment,
    target: &TargetArgs,
    meant: bool,
) -> Result<()> {
    if meant {
        return Ok(());
    }
    refuse(&Target::open(target)?, &steps(experiment)).map(drop)
}

fn workloads(experiment: &Experiment) -> BTreeSet<&str> {
    experiment.series.iter().map(|series| series.workload.as_str()).collect()
}

fn steps(experiment: &Experiment) -> Vec<String> {
    let most = experiment.densities.iter().max().copied().unwrap_or(0);
    let images: Vec<&str> = workloads(experiment).into_iter().collect();
    vec![
        "read the nodes through the pods that `cluster install` made".to_owned(),
        format!("give containerd of these nodes what it lacks of the images {}", images.join(", ")),
        format!("make the namespace {NAMESPACE}, and up to {most} pods at once in it"),
        "drop the nodes' page caches before each measurement, unless caches = \"warm\"".to_owned(),
        format!("at the end delete the namespace {NAMESPACE} and the images that were given"),
    ]
}

/// Measures all cells that are left on a cluster and leaves it as it was.
///
/// # Errors
/// The runtime is not installed on the cluster, a handler is missing, a node cannot be read any
/// more, or the run cannot be written.
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    target: &TargetArgs,
) -> Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let image =
        wamr_image::ensure_workloads(&context.cache, &workloads(experiment), &context.progress)?;
    let cells = chosen_cells(context, experiment, session, &Releases::of_image()?)?;
    let target = Target::open(target)?;
    interrupt.arm();
    let mut left = Ok(());
    let swept = namespace_thread::block_on(target.network.as_ref(), || async {
        let installer = Installer::new(target.client().await?);
        let exec = &installer.exec;
        let pods = exec.running().await?;
        check_handlers(context, experiment, &installer, &pods).await?;
        let opened = open_nodes(&target, &installer, &pods).await?;
        note_nodes(context, session, &opened);
        let environment = environment::of_cluster(
            experiment,
            &image,
            opened.facts.clone(),
            &context.programs_dir,
        );
        let environment = environment.ok_or_else(|| miette!("the cluster has no node"))?;
        session.record_environment(&environment)?;
        let nodes = pods.keys().cloned().collect();
        let cluster = Cluster::with_nodes(target.client().await?, experiment.controller, nodes);
        // What a run that was killed has left.
        cluster.delete_namespace().await?;
        let given = give_images(context, experiment, &image, exec, &pods).await;
        let swept = match &given {
            Ok(_) => {
                let pods = PodMaker::Kubernetes(cluster.clone());
                sweep_on(context, experiment, &image, session, &cells, &interrupt, (opened, pods))
                    .await
            }
            Err(error) => Err(miette!("{error:?}")),
        };
        left = leave(exec, &cluster, &given.unwrap_or_default()).await;
        swept
    });
    conclude(context, experiment, session, swept, left)
}

/// The runtime must be on the nodes, and pods must be able to ask for each handler.
async fn check_handlers(
    context: &Context,
    experiment: &Experiment,
    installer: &Installer,
    pods: &BTreeMap<String, String>,
) -> Result<()> {
    if pods.is_empty() {
        return Err(miette!(
            help = "wamr-lab cluster install --yes, with the same --kubeconfig or --node",
            "the lab has no pods on this cluster"
        ));
    }
    let classes = installer.classes().await?;
    let rows = experiment.series.iter().filter_map(|series| context.runtimes.get(&series.runtime));
    let handlers: BTreeSet<&str> = rows.map(|row| row.handler.as_str()).collect();
    let missing: Vec<&str> =
        handlers.into_iter().filter(|handler| !classes.contains(*handler)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(miette!(
        help = "`cluster install` makes wamr-crun and runc; other handlers are yours to install",
        "the cluster has no RuntimeClass {}",
        missing.join(", ")
    ))
}

/// Opens a sampler on every node with a pod of the lab. The control plane of a native cluster
/// shares the machine of its workers and is read from here: else what it grows by would have no
/// name.
async fn open_nodes(
    target: &Target,
    installer: &Installer,
    pods: &BTreeMap<String, String>,
) -> Result<OpenedNodes> {
    let mut readers = Vec::new();
    for (node, pod) in pods {
        readers.push((node.clone(), Reader::Pod(RemoteSampler::open(&installer.exec, pod).await?)));
    }
    if let Some(native) = target.native.as_ref().filter(|node| !node.workers().is_empty()) {
        let NativeAccess { view, whole } = native_access(native);
        let sampler = Sampler::open(view, whole.clone(), whole)?;
        readers.push((native.name().to_owned(), Reader::Files(sampler)));
    }
    let objects = installer.node_infos().await?;
    let own = boot_id()?;
    let (mut observers, mut facts) = (Vec::new(), BTreeMap::new());
    let mut machines: Vec<String> = Vec::new();
    for (name, reader) in readers {
        let without_pods = matches!(reader, Reader::Files(_));
        let mut observer = Observer { node: Some(name.clone()), machine: String::new(), reader };
        let told = observer.ask(ReadFacts).await?;
        if told.boot_id != own {
            clocks::check(&observer, &name).await?;
        }
        let at = machines.iter().position(|boot| *boot == told.boot_id).unwrap_or_else(|| {
            machines.push(told.boot_id.clone());
            machines.len() - 1
        });
        observer.machine = format!("machine{}", at + 1);
        let (kubelet, container_runtime) = objects.get(&name).cloned().unwrap_or_default();
        let node = ClusterNode {
            machine: observer.machine.clone(),
            without_pods,
            kernel_release: told.machine.kernel_release.clone(),
            cpu_model: told.machine.cpu_model.clone(),
            cpus: told.machine.cpus,
            memory_bytes: told.machine.memory_bytes,
            cgroup_mode: told.machine.cgroup_mode.clone(),
            kubelet,
            container_runtime,
        };
        facts.insert(name, (told.machine, node));
        observers.push(observer);
    }
    Ok(OpenedNodes { observers, facts })
}

/// Writes down what may disturb a measurement, and tells it.
fn note_nodes(context: &Context, session: &Session, opened: &OpenedNodes) {
    for (name, (facts, _)) in &opened.facts {
        for warning in &facts.warnings {
            tracing::info!(node = name, warning, "the machine moves memory by itself");
        }
        session.journal.note("node", None, json!({ "name": name, "facts": facts }));
    }
    context.progress.line(&format!("{} nodes are read", opened.observers.len()));
}

/// Gives each node the workloads that its containerd lacks; says which, by pod of the lab.
async fn give_images(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
    exec: &RemoteExec,
    pods: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let names = workloads(experiment);
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, pod) in pods {
        let there = exec.run(pod, &["images"]).await?;
        for name in &names {
            let Some(workload) = image.workloads.get(*name) else {
                bail!("the node image has no workload {name:?}");
            };
            if there.lines().any(|line| line.trim() == workload.reference) {
                continue;
            }
            give(context, exec, (node, pod), workload).await?;
            given.entry(pod.clone()).or_default().push(workload.reference.clone());
        }
    }
    Ok(given)
}

async fn give(
    context: &Context,
    exec: &RemoteExec,
    (node, pod): (&str, &str),
    workload: &WorkloadImage,
) -> Result<()> {
    let step = context.progress.step(&format!("{} to {node}", workload.reference));
    let fed = exec.feed(pod, &["import"], &workload.archive).await;
    match &fed {
        Ok(_) => step.done("is there"),
        Err(_) => step.failed("was not taken"),
    }
    fed.map(drop)
}

/// Runs the cells; `None` if the user stopped it.
async fn sweep_on(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
    session: &Session,
    cells: &[PlannedCell],
    interrupt: &Interrupt,
    (opened, cluster): (OpenedNodes, PodMaker),
) -> Result<Option<Tally>> {
    let lab = Lab {
        experiment,
        runtimes: &context.runtimes,
        image,
        containerd: containerd(&opened.facts),
        observers: Observers::several(opened.observers),
        cluster,
        // They are somebody else's.
        heaps: Heaps::of_nobody(),
        run: &session.run,
        journal: &session.journal,
        progress: &context.progress,
    };
    let last_number = cells.iter().map(|cell| cell.order + 1).max().unwrap_or(0);
    sweep_until(&lab, Stretch { cells, last_number }, session, interrupt).await
}

/// The versions of containerd on the nodes that take pods, each once.
fn containerd(nodes: &BTreeMap<String, (MachineFacts, ClusterNode)>) -> Option<String> {
    let with_pods = nodes.values().map(|(_, node)| node).filter(|node| !node.without_pods);
    let version = |node: &ClusterNode| {
        node.container_runtime.strip_prefix("containerd://").map(str::to_owned)
    };
    let versions: BTreeSet<String> = with_pods.filter_map(version).collect();
    (!versions.is_empty()).then(|| versions.into_iter().collect::<Vec<_>>().join(", "))
}

/// Takes away what the run brought along.
async fn leave(
    exec: &RemoteExec,
    cluster: &Cluster,
    given: &BTreeMap<String, Vec<String>>,
) -> Result<()> {
    cluster.delete_namespace().await?;
    for (pod, references) in given {
        let arguments: Vec<&str> =
            ["forget"].into_iter().chain(references.iter().map(String::as_str)).collect();
        exec.run(pod, &arguments).await?;
    }
    Ok(())
}
