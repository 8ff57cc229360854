//! What create, start, kill and delete cost, runtime beside runtime.

pub mod bundle;
pub mod count;
pub mod page;
pub mod run;

use serde::{Deserialize, Serialize};

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// busybox's sleep.
    Native,
    /// A module that waits for its stdin.
    Wasm,
}

impl Kind {
    /// As tables have it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "Wasm",
        }
    }
}

/// What a container's life consists of, in its order.
pub const VERBS: [&str; 4] = ["create", "start", "kill", "delete"];

/// One verb of one container: a line of the raw data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// From 0; warm-up rounds are not written.
    pub round: u32,
    /// The place in the round's order.
    pub place: u32,
    /// The runtime's name.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// What the container runs.
    pub kind: Kind,
    /// One of [`VERBS`].
    pub verb: String,
    /// From the spawn of the runtime to its end.
    pub wall_ns: u64,
    /// Processor time, user and system, of the runtime and the children it waited for.
    pub cpu_us: u64,
    /// Page faults of the same processes that needed no disk.
    pub minor_faults: u64,
}

/// One verb of one container in a pass of its own, in which nothing is timed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// From 0.
    pub round: u32,
    /// The runtime's name.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// What the container runs.
    pub kind: Kind,
    /// One of [`VERBS`].
    pub verb: String,
    /// System calls of the runtime and of all its children, until the runtime ends.
    pub syscalls: u64,
}
