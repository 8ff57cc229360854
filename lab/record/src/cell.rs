//! One cell: a runtime with a workload at a density, once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arrival::Arrival;

/// `cells/CELL/cell.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The directory's name, `0003-wamr-crun-microservice-wasm-n10-r1`: order, key, repetition.
    pub id: String,
    /// Place in the randomised order of the run, from 0.
    pub order: u32,
    /// Row of runtimes.toml.
    pub runtime: String,
    /// The runtime's name as figures print it.
    pub runtime_title: String,
    /// What must stand beside its figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_remark: Option<String>,
    /// True for the runtime that this project builds.
    pub ours: bool,
    /// `wasm`, `python`, `native`, or [`NO_CONTAINER`].
    pub language: String,
    /// Which workload image ran.
    pub workload: String,
    /// Version of the containerd that ran it, where the lab knows it. Not in older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<String>,
    /// Pods asked for.
    pub pods: u32,
    /// How fast the pods arrived; absent if one call created all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub arrival: Option<Arrival>,
    /// Repetition (block), from 1.
    pub repetition: u32,
    /// When each phase began and ended.
    pub phases: Vec<Phase>,
    /// Whether the cell may be used.
    pub verdict: Verdict,
    /// The experiment's thresholds that its pods exceeded, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceeded: Vec<String>,
}

/// The language of a system whose pods are sandboxes alone: nothing in them prints a start stamp.
pub const NO_CONTAINER: &str = "none";

/// A stretch of the cell's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Which stretch.
    pub name: PhaseName,
    /// Wall clock at its begin.
    pub begin_ns: i64,
    /// Wall clock at its end.
    pub end_ns: i64,
}

/// The stretches of a cell, in their order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// Level memory before any pod of the cell exists; its samples are the baseline B0.
    Before,
    /// From the create call to the last start stamp.
    Ramp,
    /// After the ramp, until memory is level again.
    Settle,
    /// All pods running, memory level: its samples are the value P.
    Plateau,
    /// From the delete call until the last process of the pods is gone.
    Delete,
    /// Level memory after the pods are gone; its samples are the baseline B1.
    After,
}

/// Whether a cell counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verdict {
    /// Every gate passed.
    Valid {
        /// Remarks that do not invalidate, like a baseline that never became level.
        notes: Vec<String>,
    },
    /// Measured, but a gate failed: kept, marked, not used.
    Invalid {
        /// Which gates, in words.
        reasons: Vec<String>,
        /// What the failed gates blame.
        #[serde(default, skip_serializing_if = "Fault::is_of_cell")]
        fault: Fault,
    },
    /// The pods did not all start; `failure/` holds events and logs.
    Failed {
        /// Why, in words.
        reasons: Vec<String>,
    },
}

/// What the failed gates of a cell blame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The cell: something else ran than was meant, or it did not run as it should.
    #[default]
    Cell,
    /// The machine alone: what else it did moved the memory that was measured.
    Machine,
}

impl Fault {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_of_cell(&self) -> bool {
        *self == Self::Cell
    }
}

impl Verdict {
    /// True when the cell's figures may be used.
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }
}

/// A line of `pods.ndjson`. Absent stamps were not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pod {
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// The workload container's id, without the `containerd://` scheme.
    pub container_id: Option<String>,
    /// The workload process in the node's PID namespace.
    pub pid: Option<u32>,
    /// The workload's cgroup (memory controller) as the node sees it.
    pub cgroup: Option<String>,
    /// The node it ran on, where several are measured together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When the lab sent the call that creates the pod; the same for the pods of a cell, unless
    /// they arrive at a rate.
    pub requested_ns: i64,
    /// Watch event with the pod scheduled, at its receipt.
    pub scheduled_ns: Option<i64>,
    /// Watch event with sandbox and network ready (`PodReadyToStartContainers`), at its receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_ns: Option<i64>,
    /// When the kubelet wrote that it had created the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_ns: Option<i64>,
    /// When the kubelet wrote that it had started the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    /// Watch event with the container running, at its receipt.
    pub running_ns: Option<i64>,
    /// The stamp that the workload printed as its first act.
    pub first_instruction_ns: Option<i64>,
    /// containerd's time stamp of that log line.
    pub log_ns: Option<i64>,
    /// How long the workload's fixed amount of work took by its own monotonic clock, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<i64>,
}

/// A line of `attribution.ndjson`: memory of one process at the plateau.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessMemory {
    /// What the process is to the cell.
    pub role: Role,
    /// The phase in which the walk took place: `before` (only daemons) or `plateau`.
    pub phase: PhaseName,
    /// Process in the node's PID namespace.
    pub pid: u32,
    /// The node, where several are measured together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Last component of `/proc/PID/exe`.
    pub exe: String,
    /// The pod it belongs to, where it belongs to one.
    pub pod: Option<String>,
    /// `smaps_rollup` Rss.
    pub rss_bytes: u64,
    /// `smaps_rollup` Pss.
    pub pss_bytes: u64,
    /// `smaps_rollup` Pss_Anon.
    pub pss_anon_bytes: u64,
    /// `smaps_rollup` Pss_File.
    pub pss_file_bytes: u64,
    /// `smaps_rollup` Private_Clean.
    pub private_clean_bytes: u64,
    /// `smaps_rollup` Private_Dirty.
    pub private_dirty_bytes: u64,
    /// Private bytes by mapping, largest first: `[heap]`, `[stack]`, file names, `[anon]`.
    /// Only for a few containers of a cell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub private_by_mapping: BTreeMap<String, u64>,
}

/// What a process is to a cell.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The workload's own process.
    Container,
    /// The sandbox's pause process.
    Pause,
    /// A containerd shim.
    Shim,
    /// containerd itself.
    Containerd,
    /// The kubelet.
    Kubelet,
    /// etcd, the API server, the controller manager, the scheduler.
    ControlPlane,
    /// metrics-server.
    MetricsServer,
    /// The lab: what measures, and what keeps the node together.
    Lab,
    /// Anything else on the node.
    Other,
}

/// A line of `events.ndjson`: a Kubernetes event about the cell's pods or what made them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesEvent {
    /// Kind of the object it is about.
    pub kind: String,
    /// Name of the object it is about.
    pub object: String,
    /// `Normal` or `Warning`.
    pub severity: String,
    /// One word, like `Scheduled` or `FailedCreatePodSandBox`.
    pub reason: String,
    /// The whole sentence.
    pub message: String,
    /// Who wrote it.
    pub source: String,
    /// How often it was seen.
    pub count: u32,
    /// When its writer made it: client-go puts the nanoseconds into the event's name.
    pub made_ns: Option<i64>,
    /// First and last time that it was seen, by the API; whole seconds for most writers.
    pub first_ns: Option<i64>,
    /// See `first_ns`.
    pub last_ns: Option<i64>,
}

/// `evidence.json`: proof of what really ran in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The handler that the RuntimeClass names.
    pub handler: String,
    /// The runtime, runner or shim, and libraries: node path and digest.
    pub programs: Vec<Program>,
    /// The entry point of the workload: path in the image, digest.
    pub workload: Program,
    /// One per pod.
    pub containers: Vec<ContainerEvidence>,
}

/// A file that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Path on the node or in the image.
    pub path: String,
    /// sha256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// What one container's process shows of its engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerEvidence {
    /// The pod's name.
    pub pod: String,
    /// Process in the node's PID namespace.
    pub pid: u32,
    /// `/proc/PID/exe` as the kernel prints it.
    pub exe: String,
    /// sha256 of the running program, read through `/proc/PID/exe`.
    pub exe_sha256: String,
    /// Files mapped executable, by path.
    pub mapped_programs: Vec<String>,
    /// The file that runs the guest, by its name: one of the runtime's programs or libraries, told
    /// by digest or mapping, else the running program. Not in older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// True if that is what the runtime's row in runtimes.toml demands.
    pub engine_proven: bool,
    /// True if the process's cgroup is below its pod's.
    pub cgroup_in_pod: bool,
}

/// Runs that were recorded before faults were written down name none.
#[test]
fn a_fault_is_written_where_it_is_the_machines() {
    let invalid = |fault| Verdict::Invalid { reasons: vec!["x".to_owned()], fault };
    let table = [
        (r#"{"state":"invalid","reasons":["x"]}"#, invalid(Fault::Cell)),
        (r#"{"state":"invalid","reasons":["x"],"fault":"machine"}"#, invalid(Fault::Machine)),
    ];
    for (text, verdict) in table {
        assert_eq!(serde_json::from_str::<Verdict>(text).unwrap(), verdict);
        assert_eq!(serde_json::to_string(&verdict).unwrap(), text);
    }
}
