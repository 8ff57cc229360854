//! What a node is made of: for an experiment, or with all that is there.

use std::collections::BTreeSet;

use miette::Result;
use wamr_image::{NodeImage, peers};
use wamr_node::runtimes::peer_files;
use wamr_node::{ControlPlane, NodeConfig, USUAL_PODS};
use wamr_record::experiment::{ControlPlaneSpeed, Experiment, Series};
use wamr_record::release::Release;

use crate::matrix::PlannedCell;
use crate::releases::Releases;

use super::Context;

/// The node image with a release of containerd, and with the workloads of an experiment.
///
/// # Errors
/// It cannot be built.
pub fn image_of(
    context: &Context,
    experiment: &Experiment,
    release: Option<Release>,
) -> Result<NodeImage> {
    let mut image = of_release(context, release)?;
    let names = experiment.series.iter().map(|series| series.workload.as_str()).collect();
    wamr_image::add_on_demand(&mut image, &context.cache, &names, &context.progress)?;
    Ok(image)
}

fn of_release(context: &Context, release: Option<Release>) -> Result<NodeImage> {
    let release = release.map_or_else(wamr_image::default_containerd, Ok)?;
    wamr_image::ensure_release(&context.cache, release, &context.progress)
}

/// The node that some cells of an experiment want, all of which are on the containerd of `image`.
///
/// # Errors
/// A peer cannot be built.
pub fn of_cells(
    context: &Context,
    experiment: &Experiment,
    cells: &[PlannedCell],
    image: &NodeImage,
) -> Result<NodeConfig> {
    let indices: BTreeSet<usize> = cells.iter().map(|cell| cell.series).collect();
    let series: Vec<&Series> = indices.iter().map(|index| &experiment.series[*index]).collect();
    // A node of its own: it may stand beside one that was brought up by hand.
    let name = format!("run-{}", std::process::id());
    let used = |name: &String| series.iter().any(|series| series.runtime == *name);
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
    let used = |name: &str| series.iter().any(|series| series.workload == name);
    config.keep_workloads(&used);
    // The figures of earlier runs were taken with this many, so fewer pods do not make it fewer.
    let most_pods = experiment.densities.iter().copied().max().unwrap_or(0);
    config.max_pods = most_pods.max(USUAL_PODS);
    config.metric_resolution_s = experiment.timing.metrics_resolution_s;
    Ok(config)
}

/// A node with a release of containerd, the image's own without one, and with every runtime that is
/// there and starts under it.
///
/// # Errors
/// There is no such release, or the node image cannot be built.
pub fn of_all(context: &Context, name: &str, release: Option<Release>) -> Result<NodeConfig> {
    let image = of_release(context, release)?;
    let release = release.map_or_else(|| Releases::of_image().map(|all| all.own), Ok)?;
    let mut runtimes = context.runtimes.clone();
    // Building peers takes long; whoever wants them says so by `peers build`.
    let built = peers::built(&context.cache, &peer_files(&runtimes))?;
    runtimes.retain(|_, row| {
        row.absent.is_none() && row.peer_files().all(|file| built.contains_key(file))
    });
    let newer: Vec<String> = runtimes
        .extract_if(.., |_, row| !row.starts_under(release))
        .map(|(name, _)| name)
        .collect();
    if !newer.is_empty() {
        let left_out = newer.join(", ");
        context.progress.line(&format!("left out under containerd {release}: {left_out}"));
    }
    let mut config = NodeConfig::new(name, image, runtimes, context.programs_dir.clone());
    config.peers = built;
    config.control_plane = ControlPlane::Unthrottled;
    Ok(config)
}
