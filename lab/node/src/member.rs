//! The members of a native cluster as data: a control plane and its workers, with their names and
//! addresses. Pure.
//!
//! ```text
//!  control plane                    worker 1                worker 2
//!  lab0 10.88.0.1/21                lab0 10.88.8.1/21       lab0 10.88.16.1/21    a node's pods
//!  wire0 10.89.0.1/24 (a bridge)    wire0 10.89.0.2/24      wire0 10.89.0.3/24    between nodes
//!      +-- w1 -----------------------+                        |
//!      +-- w2 ------------------------------------------------+
//! ```

use serde::{Deserialize, Serialize};

/// Workers that the addresses suffice for.
pub const MAX_WORKERS: u32 = 30;
/// Third numbers of addresses that a node's pods take: a /21.
const SUBNET_STEP: u32 = 8;

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name of the node, of its Node object and of what it leaves on the host.
    pub name: String,
    /// 0 is the control plane.
    pub index: u32,
}

impl Member {
    /// The node that runs the API server.
    pub fn control_plane(name: &str) -> Self {
        Self { name: name.to_owned(), index: 0 }
    }

    /// Worker `index`, from 1, of the cluster whose control plane is `cluster`.
    pub fn worker(cluster: &str, index: u32) -> Self {
        Self { name: format!("{cluster}-worker{index}"), index }
    }

    /// The node's own address: its kubelet listens there, its pods have it as gateway.
    pub fn address(&self) -> String {
        format!("10.88.{}.1", self.index * SUBNET_STEP)
    }

    /// Addresses of the node and its pods.
    pub fn pod_subnet(&self) -> String {
        self.subnet(21)
    }

    /// The range of that length that begins where the node's does; one that is larger than a
    /// member's share is for a node alone.
    pub fn subnet(&self, prefix_length: u8) -> String {
        format!("10.88.{}.0/{prefix_length}", self.index * SUBNET_STEP)
    }

    /// The node's address on the wire between the nodes.
    pub fn wire_address(&self) -> String {
        format!("10.89.0.{}", self.index + 1)
    }

    /// The control plane's end of the wire to a worker.
    pub fn wire_port(&self) -> String {
        format!("w{}", self.index)
    }
}

/// The workers of a cluster.
pub fn workers(cluster: &str, count: u32) -> Vec<Member> {
    (1..=count).map(|index| Member::worker(cluster, index)).collect()
}

/// The member that a user calls `word`: `control-plane`, `worker1`, or its whole name.
pub fn name_of(cluster: &str, word: &str) -> String {
    if word == "control-plane" || word == cluster {
        return cluster.to_owned();
    }
    if word.starts_with(&format!("{cluster}-")) {
        return word.to_owned();
    }
    format!("{cluster}-{word}")
}

/// True if `name` is that of a worker of `cluster`.
pub fn is_worker_of(cluster: &str, name: &str) -> bool {
    let number = name.strip_prefix(cluster).and_then(|rest| rest.strip_prefix("-worker"));
    number.is_some_and(|number| number.parse::<u32>().is_ok_and(|index| index > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_members_differ_and_stay_in_range() {
        let mut members = vec![Member::control_plane("lab")];
        members.extend(workers("lab", MAX_WORKERS));
        let mut subnets: Vec<String> = members.iter().map(Member::pod_subnet).collect();
        subnets.sort_unstable();
        subnets.dedup();
        assert_eq!(subnets.len(), members.len());
        assert_eq!(members[0].address(), crate::network::NODE_ADDRESS);
        assert_eq!(members[2].pod_subnet(), "10.88.16.0/21");
        let last = &members[MAX_WORKERS as usize];
        assert_eq!(
            (last.address().as_str(), last.wire_address().as_str()),
            ("10.88.240.1", "10.89.0.31")
        );
    }

    #[test]
    fn members_are_named_by_a_word() {
        for (word, want) in [
            ("worker1", "lab-worker1"),
            ("lab-worker1", "lab-worker1"),
            ("lab", "lab"),
            ("control-plane", "lab"),
        ] {
            assert_eq!(name_of("lab", word), want);
        }
        for (name, want) in
            [("lab-worker12", true), ("lab-worker", false), ("lab", false), ("lab-worker0", false)]
        {
            assert_eq!(is_worker_of("lab", name), want, "{name}");
        }
    }
}
