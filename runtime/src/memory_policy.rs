//! `linux.memoryPolicy`: from which NUMA nodes the process gets its memory.
//!
//! Source: runtime-spec config-linux.md "Memory policy"; set_mempolicy(2).

use crate::error::{Act, Error, Result};
use crate::scheduling::numbers;
use crate::sys::scheduling::set_mempolicy;
use oci_spec::runtime::{
    LinuxMemoryPolicy, MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode,
};

/// The modes of config.json that are honoured, for `features`.
pub const MODES: [&str; 7] = [
    "MPOL_BIND",
    "MPOL_DEFAULT",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// The flags of config.json that are honoured, for `features`.
pub const FLAGS: [&str; 3] =
    ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// No kernel has more nodes.
const MAX_NODES: u32 = 1024;

/// The arguments of set_mempolicy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `MPOL_*` with its flags.
    pub mode: u32,
    /// Bit n is node n.
    pub nodes: Vec<u64>,
}

fn refuse(field: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("linux.memoryPolicy.{field}"), reason)
}

/// Reads `wanted`. Pure.
///
/// # Errors
/// [`Error::Config`]: nodes that the mode does not take, or lacks; flags that contradict.
pub fn from_spec(wanted: &LinuxMemoryPolicy) -> Result<Policy> {
    let list = wanted.nodes().as_deref().map(str::trim).filter(|list| !list.is_empty());
    let mode = wanted.mode();
    let (number, takes, needs) = match mode {
        Mode::MpolDefault => (0, false, false),
        // Without a node MPOL_PREFERRED means the local one.
        Mode::MpolPreferred => (1, true, false),
        Mode::MpolBind => (2, true, true),
        Mode::MpolInterleave => (3, true, true),
        Mode::MpolLocal => (4, false, false),
        Mode::MpolPreferredMany => (5, true, true),
        Mode::MpolWeightedInterleave => (6, true, true),
    };
    match list {
        Some(_) if !takes => {
            return Err(refuse("nodes", format!("{mode:?} takes no nodes: remove them")));
        }
        None if needs => return Err(refuse("nodes", format!("{mode:?} needs nodes"))),
        _ => {}
    }
    let mut flags = 0;
    for flag in wanted.flags().iter().flatten() {
        flags |= match flag {
            Flag::MpolFNumaBalancing => 1 << 13,
            Flag::MpolFRelativeNodes => 1 << 14,
            Flag::MpolFStaticNodes => 1 << 15,
        };
    }
    if flags >> 14 == 0b11 {
        let reason = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        return Err(refuse("flags", reason));
    }
    let mut nodes = Vec::new();
    for node in list
        .map_or(Ok(Vec::new()), |list| numbers(list, MAX_NODES))
        .map_err(|reason| refuse("nodes", reason))?
    {
        let word = node as usize / 64;
        if nodes.len() <= word {
            nodes.resize(word + 1, 0);
        }
        nodes[word] |= 1 << (node % 64);
    }
    Ok(Policy { mode: number | flags, nodes })
}

/// Puts `policy` in force for this process; what it execs keeps it.
///
/// # Errors
/// [`Error::Os`].
pub fn apply(policy: &Policy) -> Result<()> {
    set_mempolicy(policy.mode, &policy.nodes).act(|| {
        "set linux.memoryPolicy: a node is not online or not in the cpuset, or this kernel does \
         not know the mode"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_nodes_and_flags() {
        let read = |json: &str| from_spec(&serde_json::from_str(json).unwrap());
        let got = read(
            r#"{"mode": "MPOL_BIND", "nodes": "0,65", "flags":
            ["MPOL_F_STATIC_NODES"]}"#,
        )
        .unwrap();
        assert_eq!(got, Policy { mode: 2 | 1 << 15, nodes: vec![1, 2] });
        let got = read(r#"{"mode": "MPOL_PREFERRED", "nodes": ""}"#).unwrap();
        assert_eq!(got, Policy { mode: 1, nodes: vec![] });
        for (json, want) in [
            (r#"{"mode": "MPOL_INTERLEAVE"}"#, "memoryPolicy.nodes"),
            (r#"{"mode": "MPOL_LOCAL", "nodes": "0"}"#, "takes no nodes"),
            (r#"{"mode": "MPOL_BIND", "nodes": "0-x"}"#, "memoryPolicy.nodes"),
            (
                r#"{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES",
                "MPOL_F_RELATIVE_NODES"]}"#,
                "exclude each other",
            ),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
