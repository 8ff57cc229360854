//! What many pods need of the node's network and of the machine. Pure, but for reading the limits.

use std::fs;

use miette::{Result, miette};

use crate::runtimes::{RuntimeKind, RuntimeTable, RuntimeUnderTest};

/// Pods that a node may be asked for: OpenShift's published record for one node.
pub const MAX_PODS: u32 = 2500;

/// Pods of a node unless more are asked for.
pub const USUAL_PODS: u32 = 500;

/// Pods that share a bridge, which has 1,023 ports.
const BRIDGE_PODS_MAX: u32 = 1000;

/// Tasks of a pod with a shim of its own: the shim's threads, the pause process, the container.
const TASKS_PER_POD: u64 = 14;

/// Tasks of a pod of a shim that serves many and starts no pause process.
const TASKS_PER_POD_OF_OURS: u64 = 2;

/// Tasks of a machine with the node's daemons and without pods.
const TASKS_WITHOUT_PODS: u64 = 2000;

/// How pods are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodNetwork {
    /// All to one bridge.
    Bridge,
    /// Each to the node by a pair of interfaces and a route of its own: there is no number of
    /// ports to run out of. It takes the CNI plugin `ptp`.
    PointToPoint,
}

impl PodNetwork {
    /// That of a node with so many pods.
    pub fn of(max_pods: u32) -> Self {
        if max_pods > BRIDGE_PODS_MAX { Self::PointToPoint } else { Self::Bridge }
    }

    /// Addresses of the node and its pods: 2,046, or 4,094.
    pub fn prefix_length(self) -> u8 {
        match self {
            Self::Bridge => 21,
            Self::PointToPoint => 20,
        }
    }
}

/// Limits of a machine that no namespace separates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// /proc/sys/kernel/pid_max
    pid_max: u64,
    /// /proc/sys/kernel/threads-max
    threads_max: u64,
}

/// Refuses more pods of any of `runtimes` than this machine has process ids for. The lab does not
/// raise the limit: it is the host's.
///
/// # Errors
/// A limit is too low; the text has the command that raises it.
pub fn refuse_few_ids(max_pods: u32, runtimes: &RuntimeTable) -> Result<()> {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        // A limit that cannot be read cannot be judged.
        text.trim().parse().unwrap_or(u64::MAX)
    };
    let limits = Limits { pid_max: read("pid_max"), threads_max: read("threads-max") };
    match too_low(tasks(max_pods, runtimes), limits) {
        None => Ok(()),
        Some((name, limit, wanted)) => Err(miette!(
            help = format!("sysctl -w kernel.{name}={}", wanted.next_power_of_two()),
            "{max_pods} pods may need {wanted} tasks, and kernel.{name} is {limit}"
        )),
    }
}

/// Tasks of a machine with so many pods of the most demanding runtime.
fn tasks(max_pods: u32, runtimes: &RuntimeTable) -> u64 {
    let serves_many = |row: &RuntimeUnderTest| row.ours && row.kind == RuntimeKind::Shim;
    let all_serve_many = !runtimes.is_empty() && runtimes.values().all(serves_many);
    let per_pod = if all_serve_many { TASKS_PER_POD_OF_OURS } else { TASKS_PER_POD };
    u64::from(max_pods) * per_pod + TASKS_WITHOUT_PODS
}

/// The limit that is too low, its value, and what is wanted.
fn too_low(wanted: u64, limits: Limits) -> Option<(&'static str, u64, u64)> {
    [("pid_max", limits.pid_max), ("threads-max", limits.threads_max)]
        .into_iter()
        .find(|(_, limit)| *limit < wanted)
        .map(|(name, limit)| (name, limit, wanted))
}

#[test]
fn many_pods_have_no_bridge_and_addresses_enough() {
    for (pods, network) in [
        (1, PodNetwork::Bridge),
        (USUAL_PODS, PodNetwork::Bridge),
        (1000, PodNetwork::Bridge),
        (1001, PodNetwork::PointToPoint),
        (MAX_PODS, PodNetwork::PointToPoint),
    ] {
        let found = PodNetwork::of(pods);
        assert_eq!(found, network, "{pods}");
        // Network, broadcast and the node have an address each.
        let addresses = 2_u32.pow(32 - u32::from(found.prefix_length())) - 3;
        assert!(addresses > pods, "{addresses} for {pods}");
    }
}

#[test]
fn a_machine_with_few_process_ids_is_told_how_many_it_needs() {
    let usual = Limits { pid_max: 32_768, threads_max: 192_730 };
    let table = crate::runtimes::parse_table(include_str!("../../runtimes.toml")).unwrap();
    let only = |names: &[&str]| -> RuntimeTable {
        let of = |name: &&str| ((*name).to_owned(), table[*name].clone());
        names.iter().map(of).collect()
    };
    let low = |pods, names: &[&str], limits| too_low(tasks(pods, &only(names)), limits);
    assert_eq!(low(2000, &["wamr-crun"], usual), None);
    assert_eq!(low(MAX_PODS, &["wamr-crun"], usual), Some(("pid_max", 32_768, 37_000)));
    assert_eq!(low(MAX_PODS, &["wamr-shim", "runc-native"], usual).map(|it| it.0), Some("pid_max"));
    assert_eq!(low(MAX_PODS, &["wamr-shim"], usual), None);
    let few_threads = Limits { pid_max: 4_194_304, threads_max: 10_000 };
    assert_eq!(low(1000, &[], few_threads), Some(("threads-max", 10_000, 16_000)));
}
