//! The run directory: the only thing that the lab and the analysis share.
//!
//! ```text
//! RUN/
//!   manifest.json        what the run is, and the size and sha256 of every other file
//!   experiment.toml      the plan, as it was given
//!   environment.json     machine, kernel, node stack, digests of every program
//!   journal.ndjson       one line per step, as it happened
//!   cells/CELL/
//!     cell.json          runtime, workload, density, phases, verdict
//!     samples.ndjson     every reading of every source
//!     settling.ndjson    readings before and after the pods, while memory was not level yet
//!     pods.ndjson        one line per pod: stamps and placement
//!     attribution.ndjson where the memory is: one line per process or cgroup, at the plateau
//!     events.ndjson      Kubernetes' events about the pods
//!     evidence.json      proof of what really ran
//!     failure/           events and logs of pods that did not start
//! ```
//!
//! Names carry units: `_bytes`, `_ns`, `_s`. Wall-clock times are nanoseconds since the Unix
//! epoch of the node's kernel (`CLOCK_REALTIME`).

pub mod account;
pub mod arrival;
pub mod cell;
pub mod churn;
pub mod environment;
pub mod experiment;
pub mod manifest;
pub mod reader;
pub mod release;
pub mod sample;
pub mod schema;

/// The version of this layout; a reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = 1;
