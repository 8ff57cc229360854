//! What a caller decides about a node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::{Result, miette};
use serde::{Deserialize, Serialize};
use wamr_image::NodeImage;

use crate::cgroups::CgroupDriver;
use crate::member::{MAX_WORKERS, Member};
use crate::runtimes::RuntimeTable;
use crate::scale::{MAX_PODS, USUAL_PODS, refuse_few_ids};

/// Seconds between two scrapes of metrics-server: what its own manifest ships.
/// It accepts 10 s at the least, and must stay above its kubelet timeout of 5 s.
pub const DEFAULT_METRIC_RESOLUTION_S: u32 = 15;

/// The image of the sandbox containers, by its name in the node image.
pub(crate) const PAUSE: &str = "pause";

/// A name ends up in host names, control groups and paths.
const NAME_BYTES_MAX: usize = 40;

/// A node to bring up.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Name of the node, of its Node object and of everything that it leaves on the host.
    pub name: String,
    /// What it is made of.
    pub image: NodeImage,
    /// Runtimes to install: a containerd handler and a RuntimeClass each.
    pub runtimes: RuntimeTable,
    /// Where `dist:` programs are.
    pub dist_bin: PathBuf,
    /// Where the files of peers are on this machine, by their names after `peer:`.
    pub peers: BTreeMap<String, PathBuf>,
    /// How fast the control plane may go.
    pub control_plane: ControlPlane,
    /// What the kubelet admits.
    pub max_pods: u32,
    /// Seconds between two scrapes of metrics-server.
    pub metric_resolution_s: u32,
    /// Configuration that something else has rendered, in place of the node's own words: a
    /// directory with `containerd.toml`, `kubelet.json`, `cni/` and `runtimeclasses.json`.
    pub config_from: Option<PathBuf>,
    /// Who makes the control groups of pods and containers.
    pub cgroup_driver: CgroupDriver,
    /// Further nodes that run pods; the first one then runs the control plane alone.
    pub workers: u32,
}

/// How fast the control plane may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlPlane {
    /// Kubernetes' own limits on requests per second: a Job's pods are made at 20 a second.
    Stock,
    /// Limits raised until they no longer shape the start of some hundred pods.
    Unthrottled,
    /// There is none, and no kubelet: containerd alone, for pods that are made through its CRI. A
    /// kubelet would remove pods that it does not know.
    None,
}

impl NodeConfig {
    /// A node with the defaults of a density experiment.
    pub fn new(name: &str, image: NodeImage, runtimes: RuntimeTable, dist_bin: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            image,
            runtimes,
            dist_bin,
            peers: BTreeMap::new(),
            control_plane: ControlPlane::Unthrottled,
            max_pods: USUAL_PODS,
            metric_resolution_s: DEFAULT_METRIC_RESOLUTION_S,
            config_from: None,
            cgroup_driver: CgroupDriver::Cgroupfs,
            workers: 0,
        }
    }

    /// Leaves out the images of workloads that nobody will run: importing them takes time.
    pub fn keep_workloads(&mut self, wanted: &dyn Fn(&str) -> bool) {
        self.image.workloads.retain(|name, _| name == PAUSE || wanted(name));
    }

    /// Refuses what could not work, before anything is created.
    ///
    /// # Errors
    /// A value is out of range; the text says which range.
    pub(crate) fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if !(1..=MAX_PODS).contains(&self.max_pods) {
            return Err(miette!(
                help = format!("one node holds 1 to {MAX_PODS} pods"),
                "max_pods = {}",
                self.max_pods
            ));
        }
        if self.workers > MAX_WORKERS {
            return Err(miette!(
                help = format!("a cluster has up to {MAX_WORKERS} workers"),
                "{} workers",
                self.workers
            ));
        }
        if self.max_pods > USUAL_PODS {
            refuse_few_ids(self.max_pods, &self.runtimes)?;
        }
        if self.workers > 0 {
            if self.max_pods > USUAL_PODS {
                return Err(miette!(
                    help = format!("up to {USUAL_PODS} pods per worker: each has a /21"),
                    "max_pods = {} on a node of a cluster",
                    self.max_pods
                ));
            }
            if self.config_from.is_some() {
                return Err(miette!(
                    help = "each worker has addresses of its own: leave --workers out",
                    "one rendered configuration does not fit several nodes"
                ));
            }
            if self.control_plane == ControlPlane::None {
                return Err(miette!(
                    help = "leave the workers out",
                    "workers without a control plane would be nobody's"
                ));
            }
            check_name(&Member::worker(&self.name, self.workers).name)?;
        }
        if self.metric_resolution_s < 10 {
            return Err(miette!(
                help = "metrics-server refuses less than 10 s",
                "metric_resolution_s = {}",
                self.metric_resolution_s
            ));
        }
        Ok(())
    }
}

/// A name must be a DNS label: Kubernetes names the Node object after it.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    let ok = name.len() <= NAME_BYTES_MAX
        && name.chars().all(inner)
        && edge(name.chars().next())
        && edge(name.chars().last());
    if ok {
        return Ok(());
    }
    Err(miette!(
        help = format!("use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and inner '-', like \"demo\""),
        "node name {name:?}"
    ))
}

#[test]
fn names_are_dns_labels() {
    let cases = [
        ("demo", true),
        ("n-1", true),
        ("", false),
        ("-a", false),
        ("a-", false),
        ("A", false),
        ("../x", false),
        ("a.b", false),
    ];
    for (name, ok) in cases {
        assert_eq!(check_name(name).is_ok(), ok, "{name:?}");
    }
    assert!(check_name(&"a".repeat(NAME_BYTES_MAX)).is_ok());
    assert!(check_name(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
}
