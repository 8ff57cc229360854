//! A run on a node that can be read from where this program runs: one that is brought up for it, or
//! this machine itself.

use std::os::fd::OwnedFd;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde_json::{Value, json};
use wamr_image::NodeImage;
use wamr_node::{MachineNode, NativeNode, Node};
use wamr_record::experiment::{Caches, ControlPlaneSpeed, Experiment};

use super::measuring::{Outcome, chosen_cells, conclude, sweep_until};
use super::{Context, node_config};
use crate::cell::level::note_caches;
use crate::cluster::kubernetes::Cluster;
use crate::cluster::namespace_thread;
use crate::cri::pods::CriPods;
use crate::disturbances::Disturbances;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::matrix::PlannedCell;
use crate::observer::aggregate::Observers;
use crate::observer::question::drop_caches;
use crate::observer::sampler::Sampler;
use crate::place::Place;
use crate::pod_maker::PodMaker;
use crate::run_dir::journal::Journal;
use crate::run_dir::session::Session;
use crate::sweep::Tally;

/// Brings a node up unless there is one `here`, measures all cells that are left, takes the node
/// down.
///
/// # Errors
/// The node does not come up or dies, the run cannot be written.
pub fn measure(
    context: &Context,
    experiment: &Experiment,
    session: &Session,
    here: Option<MachineNode>,
) -> Result<Outcome> {
    let interrupt = Interrupt::listen()?;
    let image = match &here {
        Some(node) => node.spec().image.clone(),
        None => node_config::image_of(context, experiment)?,
    };
    let journal = &session.journal;
    let cells = chosen_cells(experiment, session)?;
    note_disturbances(context, journal);
    // The cache of a machine that just built something is large. Given back now, it is done with
    // long before the first baseline; dropped there, it would unsettle it.
    if experiment.caches == Caches::Cold {
        drop_caches()?;
    }
    note_caches(experiment.caches, journal);
    interrupt.arm();
    let up = match here {
        Some(node) => Ok(Place::Here(node)),
        None => node_config::of_experiment(context, experiment, &image)
            .and_then(|config| NativeNode::up(&config, &context.progress))
            .map(Place::Native),
    };
    if interrupt.is_asked() {
        // An interrupted bring-up may also have failed for that very reason.
        journal.note("interrupted", None, Value::Null);
        if let Ok(node) = up {
            node.leave(&context.progress)?;
        }
        return Ok(Outcome::Interrupted);
    }
    let node = up?;
    journal.note("node-up", None, Value::Null);
    let swept = sweep_on(context, experiment, &image, &node, session, &cells, &interrupt);
    let dead = node.check();
    let down = node.leave(&context.progress);
    let swept = match (swept, dead) {
        // A daemon that died explains the error better than what came of it.
        (Err(error), Err(cause)) => Err(cause.wrap_err(format!("the node broke: {error}"))),
        (Ok(_), Err(cause)) => Err(cause),
        (swept, Ok(())) => swept,
    };
    conclude(context, experiment, session, swept, down)
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

/// Runs the cells; `None` if the user stopped it.
fn sweep_on(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
    node: &Place,
    session: &Session,
    cells: &[PlannedCell],
    interrupt: &Interrupt,
) -> Result<Option<Tally>> {
    let view = node.view();
    let environment = environment::of_place(experiment, image, node, &context.programs_dir);
    session.journal.note("virtual-machine", None, json!(node.virtual_machine()));
    session.record_environment(&environment)?;
    let network: OwnedFd =
        node.network_namespace().into_diagnostic().wrap_err("open the node's network namespace")?;
    let kubeconfig = node.kubeconfig();
    namespace_thread::block_on(Some(&network), || async {
        let cluster = match experiment.control_plane {
            ControlPlaneSpeed::None => PodMaker::Cri(CriPods::connect(view.root.clone()).await?),
            ControlPlaneSpeed::Stock | ControlPlaneSpeed::Unthrottled | ControlPlaneSpeed::AsIs => {
                PodMaker::Kubernetes(Cluster::connect(&kubeconfig, experiment.controller).await?)
            }
        };
        let lab = Lab {
            experiment,
            runtimes: node.runtimes().unwrap_or(&context.runtimes),
            image,
            observers: Observers::one(Sampler::open(
                view,
                node.memory_cgroup(),
                node.root_cgroup(),
            )?),
            cluster,
            run: &session.run,
            journal: &session.journal,
            progress: &context.progress,
        };
        sweep_until(&lab, cells, session, interrupt).await
    })
}
