//! What a node is made of: for an experiment, or with all that is there.

use miette::Result;
use wamr_image::{NodeImage, peers};
use wamr_node::runtimes::peer_files;
use wamr_node::{ControlPlane, MAX_PODS, NodeConfig};
use wamr_record::experiment::{ControlPlaneSpeed, Experiment};

use super::Context;

/// The node image, with the workloads of an experiment.
///
/// # Errors
/// It cannot be built.
pub fn image_of(context: &Context, experiment: &Experiment) -> Result<NodeImage> {
    let mut image = wamr_image::ensure(&context.cache, &context.progress)?;
    let names = experiment.series.iter().map(|series| series.workload.as_str()).collect();
    wamr_image::add_on_demand(&mut image, &context.cache, &names, &context.progress)?;
    Ok(image)
}

/// The node that an experiment wants.
///
/// # Errors
/// A peer cannot be built.
pub fn of_experiment(
    context: &Context,
    experiment: &Experiment,
    image: &NodeImage,
) -> Result<NodeConfig> {
    // A node of its own: it may stand beside one that was brought up by hand.
    let name = format!("run-{}", std::process::id());
    let used = |name: &String| experiment.series.iter().any(|series| series.runtime == *name);
    let mut runtimes = context.runtimes.clone();
    runtimes.retain(|name, _| used(name));
    let programs_dir = context.programs_dir.clone();
    let peers = peers::ensure(&context.cache, &peer_files(&runtimes), &context.progress)?;
    let mut config = NodeConfig::new(&name, image.clone(), runtimes, programs_dir);
    config.peers = peers;
    config.control_plane = match experiment.control_plane {
        ControlPlaneSpeed::Stock => ControlPlane::Stock,
        ControlPlaneSpeed::Unthrottled | ControlPlaneSpeed::AsIs => ControlPlane::Unthrottled,
        ControlPlaneSpeed::None => ControlPlane::None,
    };
    let used = |name: &str| experiment.series.iter().any(|series| series.workload == name);
    config.keep_workloads(&used);
    config.max_pods = MAX_PODS;
    config.metric_resolution_s = experiment.timing.metrics_resolution_s;
    Ok(config)
}

/// A node with every runtime that is there.
///
/// # Errors
/// The node image cannot be built.
pub fn of_all(context: &Context, name: &str) -> Result<NodeConfig> {
    let image = wamr_image::ensure(&context.cache, &context.progress)?;
    let mut runtimes = context.runtimes.clone();
    // Building peers takes long; whoever wants them says so by `peers build`.
    let built = peers::built(&context.cache, &peer_files(&runtimes))?;
    runtimes.retain(|_, row| {
        row.absent.is_none() && row.peer_files().all(|file| built.contains_key(file))
    });
    let mut config = NodeConfig::new(name, image, runtimes, context.programs_dir.clone());
    config.peers = built;
    config.control_plane = ControlPlane::Unthrottled;
    Ok(config)
}
