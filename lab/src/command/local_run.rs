//! A run on a node that can be read from where this program runs: one that is brought up for it, or
//! this machine itself.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::json;
use wamr_image::NodeImage;
use wamr_node::{MachineNode, NativeNode, Node, NodeConfig};
use wamr_record::experiment::{self, Caches, ControlPlaneSpeed, Experiment};
use wamr_record::release::Release;

use super::measuring::{Outcome, cells_of_run, chosen_cells, conclude, sweep_until};
use super::{Context, node_config};
use crate::cell::level::note_caches;
use crate::cluster::kubernetes::Cluster;
use crate::cluster::namespace_thread;
use crate::cri::pods::CriPods;
use crate::disturbances::Disturbances;
use crate::environment::{self, together};
use crate::heaps::Heaps;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::matrix::PlannedCell;
use crate::observer::aggregate::Observers;
use crate::observer::question::drop_caches;
use crate::observer::sampler::Sampler;
use crate::place::Place;
use crate::pod_maker::PodMaker;
use crate::releases::{self, Releases};
use crate::run_dir::journal::{HEAPS, Journal};
use crate::run_dir::session::Session;
use crate::sweep::{Stretch, Tally};

/// The component that runs have different versions of.
pub const CONTAINERD: &str = "containerd";

/// Measures all cells that are left: brings a node up for each stretch of them and takes it down,
/// unless there is one `here`.
///
/// # Errors
/// A node does not come up or dies, the run cannot be written.
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    here: Option<MachineNode>,
) -> Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let releases = match &here {
        Some(node) => releases_of(node, context, experiment)?,
        None => Releases::of_image()?,
    };
    let journal = &session.journal;
    let cells = chosen_cells(context, experiment, session, &releases)?;
    let of_run = cells_of_run(context, experiment, session, &releases);
    let nodes = Nodes::prepare(context, experiment, &of_run, here)?;
    note_disturbances(context, journal);
    // The cache of a machine that just built something is large. Given back now, it is done with
    // long before the first baseline; dropped there, it would unsettle it.
    if experiment.caches == Caches::Cold {
        drop_caches()?;
    }
    note_caches(experiment.caches, journal);
    interrupt.arm();
    let run = Run { context, experiment, session, interrupt: &interrupt };
    let (mut tally, mut down) = (Tally::default(), Ok(()));
    for stretch in Stretch::all(&cells) {
        if stretch.left(experiment, &session.done).is_empty() {
            continue;
        }
        let (swept, left) = run.stretch(stretch, &nodes)?;
        down = left;
        match swept {
            Ok(Some(more)) if down.is_ok() => tally = tally.plus(more),
            swept => return conclude(context, experiment, session, swept, down),
        }
    }
    conclude(context, experiment, session, Ok(Some(tally)), down)
}

/// What a machine has that is a node already, if the experiment may run on it.
fn releases_of(node: &MachineNode, context: &Context, experiment: &Experiment) -> Result<Releases> {
    let version = node.spec().image.versions.get(CONTAINERD).map_or("", String::as_str);
    let Some(releases) = Releases::of_machine(version) else { return Releases::of_image() };
    releases::check(experiment, &context.runtimes, &releases).map_err(|fault| {
        miette!(help = fault.help, "on this machine, with containerd {version}: {}", fault.message)
    })?;
    Ok(releases)
}

/// The nodes of a run: release of containerd → what a node with it is made of.
struct Nodes {
    here: RefCell<Option<MachineNode>>,
    images: BTreeMap<Option<Release>, NodeImage>,
    configs: BTreeMap<Option<Release>, NodeConfig>,
}

impl Nodes {
    /// Builds what is missing, for all releases before the first cell.
    fn prepare(
        context: &Context,
        experiment: &Experiment,
        cells: &[PlannedCell],
        here: Option<MachineNode>,
    ) -> Result<Self> {
        let (mut images, mut configs) = (BTreeMap::new(), BTreeMap::new());
        for release in cells.iter().map(|cell| cell.containerd).collect::<BTreeSet<_>>() {
            if let Some(node) = &here {
                images.insert(release, node.spec().image.clone());
                continue;
            }
            let image = node_config::image_of(context, experiment, release)?;
            let of_release = cells.iter().filter(|cell| cell.containerd == release);
            let of_release: Vec<PlannedCell> = of_release.copied().collect();
            let config = node_config::of_cells(context, experiment, &of_release, &image)?;
            images.insert(release, image);
            configs.insert(release, config);
        }
        Ok(Self { here: RefCell::new(here), images, configs })
    }

    fn up(&self, context: &Context, release: Option<Release>) -> Result<Place> {
        if let Some(node) = self.here.take() {
            return Ok(Place::Here(node));
        }
        let config = self.configs.get(&release);
        let config = config.ok_or_else(|| miette!("no node was prepared for these cells"))?;
        NativeNode::up(config, &context.progress).map(Place::Native)
    }
}

/// What the stretches of a run have in common.
struct Run<'a> {
    context: &'a Context,
    experiment: &'a Experiment,
    session: &'a Session,
    interrupt: &'a Interrupt,
}

impl Run<'_> {
    /// Measures a stretch on a node of its own; how that went, and how the node was left.
    fn stretch(
        &self,
        stretch: Stretch<'_>,
        nodes: &Nodes,
    ) -> Result<(Result<Option<Tally>>, Result<()>)> {
        let (context, journal) = (self.context, &self.session.journal);
        let release = stretch.cells.first().and_then(|cell| cell.containerd);
        let up = nodes.up(context, release);
        if self.interrupt.is_asked() {
            // An interrupted bring-up may also have failed for that very reason.
            return Ok((Ok(None), up.map_or(Ok(()), |node| node.leave(&context.progress))));
        }
        let node = up?;
        let image = &nodes.images[&release];
        journal.note("node-up", None, json!({ CONTAINERD: image.versions.get(CONTAINERD) }));
        let swept = self.sweep(stretch, &node, image, nodes.images.values());
        let dead = node.check();
        let down = node.leave(&context.progress);
        let swept = match (swept, dead) {
            // A daemon that died explains the error better than what came of it.
            (Err(error), Err(cause)) => Err(cause.wrap_err(format!("the node broke: {error}"))),
            (Ok(_), Err(cause)) => Err(cause),
            (swept, Ok(())) => swept,
        };
        Ok((swept, down))
    }

    /// Runs the cells; `None` if the user stopped it. `images` are those of all nodes of the run.
    fn sweep<'a>(
        &self,
        stretch: Stretch<'_>,
        node: &Place,
        image: &NodeImage,
        images: impl Iterator<Item = &'a NodeImage>,
    ) -> Result<Option<Tally>> {
        let Self { context, experiment, session, interrupt } = self;
        let view = node.view();
        let environment =
            environment::of_place(experiment, &together(images), node, &context.programs_dir);
        session.journal.note("virtual-machine", None, json!(node.virtual_machine()));
        session.record_environment(&environment)?;
        let network: OwnedFd = node
            .network_namespace()
            .into_diagnostic()
            .wrap_err("open the node's network namespace")?;
        let kubeconfig = node.kubeconfig();
        namespace_thread::block_on(Some(&network), || async {
            let cluster = match experiment.control_plane {
                ControlPlaneSpeed::None => {
                    PodMaker::Cri(CriPods::connect(view.root.clone()).await?)
                }
                ControlPlaneSpeed::Stock
                | ControlPlaneSpeed::Unthrottled
                | ControlPlaneSpeed::AsIs => PodMaker::Kubernetes(
                    Cluster::connect(&kubeconfig, experiment.controller).await?,
                ),
            };
            let heaps = heaps_of(experiment, node, &view.root).await?;
            session.journal.note(HEAPS, None, json!({ "collected": heaps.names() }));
            let lab = Lab {
                experiment,
                runtimes: node.runtimes().unwrap_or(&context.runtimes),
                image,
                containerd: image.versions.get(CONTAINERD).cloned(),
                observers: Observers::one(Sampler::open(
                    view,
                    node.memory_cgroup(),
                    node.root_cgroup(),
                )?),
                cluster,
                heaps,
                run: &session.run,
                journal: &session.journal,
                progress: &context.progress,
            };
            sweep_until(&lab, stretch, session, interrupt).await
        })
    }
}

/// Writes down what may disturb a measurement, and tells it.
fn note_disturbances(context: &Context, journal: &Journal) {
    let facts = Disturbances::read(Path::new("/"));
    journal.note("machine", None, json!({ "facts": facts, "warnings": facts.warnings() }));
    let others: Vec<String> =
        Node::names().into_iter().filter(|(_, up)| *up).map(|(name, _)| name).collect();
    if !others.is_empty() {
        let others = others.join(", ");
        let text = format!("another node is up ({others}): what it does is measured, too");
        context.progress.line(&text);
        journal.note("other-nodes", None, json!(others));
    }
}

/// The daemons whose heaps the experiment wants collected.
pub async fn heaps_of(experiment: &Experiment, node: &Place, root: &Path) -> Result<Heaps> {
    match (experiment.heaps, experiment.control_plane) {
        (experiment::Heaps::AsTheyAre, _) => Ok(Heaps::of_nobody()),
        (_, ControlPlaneSpeed::None) => Ok(Heaps::of_containerd(root)),
        _ => Heaps::of_node(root, node.name(), &node.kubeconfig()).await,
    }
}
