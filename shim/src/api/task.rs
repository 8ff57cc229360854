//! The task service. Its versions 2 and 3 have the same messages.

use super::{Any, Timestamp};
use prost::{Enumeration, Message};

/// Name of the service, as containerd before 2.3 calls it.
pub const SERVICE: &str = "containerd.task.v2.Task";

/// Its name for containerd 2.3 and later.
pub const SERVICE_V3: &str = "containerd.task.v3.Task";

/// The exit status of a process that a signal has ended.
pub const fn signalled(signal: i32) -> u32 {
    128 + signal as u32
}

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum Status {
    /// Being made.
    Unknown = 0,
    /// Its program waits for `Start`.
    Created = 1,
    /// It runs.
    Running = 2,
    /// It has ended.
    Stopped = 3,
    /// Its control group is frozen.
    Paused = 4,
}

/// A mount of a snapshotter.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Mount {
    /// `overlay`, `bind`, …
    #[prost(string, tag = "1")]
    pub kind: String,
    /// What is mounted.
    #[prost(string, tag = "2")]
    pub source: String,
    /// Below the root file system; empty is the root itself.
    #[prost(string, tag = "3")]
    pub target: String,
    /// As in fstab.
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}

/// Make a task.
#[derive(Clone, PartialEq, Message)]
pub struct CreateTask {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Directory with config.json.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// What the root file system is mounted from; nothing if it is there.
    #[prost(message, repeated, tag = "3")]
    pub rootfs: Vec<Mount>,
    /// Whether the process gets a terminal.
    #[prost(bool, tag = "4")]
    pub terminal: bool,
    /// A FIFO, or empty.
    #[prost(string, tag = "5")]
    pub stdin: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "6")]
    pub stdout: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "7")]
    pub stderr: String,
    /// Directory of a checkpoint to go on from.
    #[prost(string, tag = "8")]
    pub checkpoint: String,
    /// The runtime's options of containerd's configuration.
    #[prost(message, optional, tag = "10")]
    pub options: Option<Any>,
}

/// A process, by container and, unless it is the container's first, by its own name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ProcessRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Empty is the container's first process.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

/// The answer of Create and Start.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Pid {
    /// In the shim's PID namespace.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
}

/// The answer of Delete.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Deleted {
    /// Of the process that was.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Its exit code, or 128 and the signal's number.
    #[prost(uint32, tag = "2")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "3")]
    pub exited_at: Option<Timestamp>,
}

/// The answer of Wait.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Exited {
    /// Exit code, or 128 and the signal's number.
    #[prost(uint32, tag = "1")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "2")]
    pub exited_at: Option<Timestamp>,
}

/// A further process in a container.
#[derive(Clone, PartialEq, Message)]
pub struct ExecProcess {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The process' own name.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Whether it gets a terminal.
    #[prost(bool, tag = "3")]
    pub terminal: bool,
    /// A FIFO, or empty.
    #[prost(string, tag = "4")]
    pub stdin: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "5")]
    pub stdout: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "6")]
    pub stderr: String,
    /// `process` of config.json, as JSON.
    #[prost(message, optional, tag = "7")]
    pub spec: Option<Any>,
}

/// A terminal's new size.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResizePty {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Empty is the container's first process.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Columns.
    #[prost(uint32, tag = "3")]
    pub width: u32,
    /// Rows.
    #[prost(uint32, tag = "4")]
    pub height: u32,
}

/// What is known of a process.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct State {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Directory with config.json.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// In the shim's PID namespace.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Where it is in its life.
    #[prost(enumeration = "Status", tag = "4")]
    pub status: i32,
    /// As it was asked for.
    #[prost(string, tag = "5")]
    pub stdin: String,
    /// As it was asked for.
    #[prost(string, tag = "6")]
    pub stdout: String,
    /// As it was asked for.
    #[prost(string, tag = "7")]
    pub stderr: String,
    /// Whether it has a terminal.
    #[prost(bool, tag = "8")]
    pub terminal: bool,
    /// Exit code, or 128 and the signal's number.
    #[prost(uint32, tag = "9")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "10")]
    pub exited_at: Option<Timestamp>,
    /// Empty is the container's first process.
    #[prost(string, tag = "11")]
    pub exec_id: String,
}

/// A signal.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Kill {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Empty is the container's first process.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Its number.
    #[prost(uint32, tag = "3")]
    pub signal: u32,
    /// To every process of the container.
    #[prost(bool, tag = "4")]
    pub all: bool,
}

/// Nothing more comes on standard input.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CloseIo {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Empty is the container's first process.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// Which is all that can be closed.
    #[prost(bool, tag = "3")]
    pub stdin: bool,
}

/// The processes of a container.
#[derive(Clone, PartialEq, Message)]
pub struct Pids {
    /// Any order.
    #[prost(message, repeated, tag = "1")]
    pub processes: Vec<ProcessInfo>,
}

/// One of them.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessInfo {
    /// In the shim's PID namespace.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
}

/// New limits.
#[derive(Clone, PartialEq, Message)]
pub struct UpdateTask {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `linux.resources` of config.json, as JSON.
    #[prost(message, optional, tag = "2")]
    pub resources: Option<Any>,
}

/// The figures of a container's control groups.
#[derive(Clone, PartialEq, Message)]
pub struct Stats {
    /// `io.containerd.cgroups.v1.Metrics` or v2.
    #[prost(message, optional, tag = "1")]
    pub stats: Option<Any>,
}

/// The answer of Connect.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Connected {
    /// This process.
    #[prost(uint32, tag = "1")]
    pub shim_pid: u32,
    /// The container's first process.
    #[prost(uint32, tag = "2")]
    pub task_pid: u32,
}
