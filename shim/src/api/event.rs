//! What containerd is told without asking.

use super::task::Mount;
use super::{Any, Timestamp};
use prost::Message;

/// Name of containerd's service that takes events.
pub const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";

/// Its one method's message.
#[derive(Clone, PartialEq, Message)]
pub struct Forward {
    /// The event.
    #[prost(message, optional, tag = "1")]
    pub envelope: Option<Envelope>,
}

/// An event.
#[derive(Clone, PartialEq, Message)]
pub struct Envelope {
    /// When it happened.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    /// containerd's namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// `/tasks/exit`
    #[prost(string, tag = "3")]
    pub topic: String,
    /// One of the messages below.
    #[prost(message, optional, tag = "4")]
    pub event: Option<Any>,
}

/// A message that is an event.
pub trait Event: Message {
    /// Its topic and its name.
    const KIND: (&'static str, &'static str);
}

/// A task was made.
#[derive(Clone, PartialEq, Message)]
pub struct TaskCreate {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Directory with config.json.
    #[prost(string, tag = "2")]
    pub bundle: String,
    /// What the root file system is mounted from.
    #[prost(message, repeated, tag = "3")]
    pub rootfs: Vec<Mount>,
    /// Its streams.
    #[prost(message, optional, tag = "4")]
    pub io: Option<TaskIo>,
    /// Its first process.
    #[prost(uint32, tag = "6")]
    pub pid: u32,
}

impl Event for TaskCreate {
    const KIND: (&'static str, &'static str) = ("/tasks/create", "containerd.events.TaskCreate");
}

/// Streams as they were asked for.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskIo {
    /// A FIFO, or empty.
    #[prost(string, tag = "1")]
    pub stdin: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "2")]
    pub stdout: String,
    /// A FIFO, a URI, or empty.
    #[prost(string, tag = "3")]
    pub stderr: String,
    /// Whether there is a terminal.
    #[prost(bool, tag = "4")]
    pub terminal: bool,
}

/// A container's program was started.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskStart {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Its first process.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
}

impl Event for TaskStart {
    const KIND: (&'static str, &'static str) = ("/tasks/start", "containerd.events.TaskStart");
}

/// A process has ended.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskExit {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The container again, or the process' own name.
    #[prost(string, tag = "2")]
    pub id: String,
    /// The process that was.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Exit code, or 128 and the signal's number.
    #[prost(uint32, tag = "4")]
    pub exit_status: u32,
    /// When.
    #[prost(message, optional, tag = "5")]
    pub exited_at: Option<Timestamp>,
}

impl Event for TaskExit {
    const KIND: (&'static str, &'static str) = ("/tasks/exit", "containerd.events.TaskExit");
}

/// A task was removed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskDelete {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The process that was.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
    /// Exit code, or 128 and the signal's number.
    #[prost(uint32, tag = "3")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "4")]
    pub exited_at: Option<Timestamp>,
}

impl Event for TaskDelete {
    const KIND: (&'static str, &'static str) = ("/tasks/delete", "containerd.events.TaskDelete");
}

/// The kernel has ended a process of the container for memory.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskOom {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

impl Event for TaskOom {
    const KIND: (&'static str, &'static str) = ("/tasks/oom", "containerd.events.TaskOOM");
}

/// A further process was described.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskExecAdded {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The process' own name.
    #[prost(string, tag = "2")]
    pub exec_id: String,
}

impl Event for TaskExecAdded {
    const KIND: (&'static str, &'static str) =
        ("/tasks/exec-added", "containerd.events.TaskExecAdded");
}

/// A further process was started.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskExecStarted {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The process' own name.
    #[prost(string, tag = "2")]
    pub exec_id: String,
    /// The process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
}

impl Event for TaskExecStarted {
    const KIND: (&'static str, &'static str) =
        ("/tasks/exec-started", "containerd.events.TaskExecStarted");
}

/// A container was frozen.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskPaused {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

impl Event for TaskPaused {
    const KIND: (&'static str, &'static str) = ("/tasks/paused", "containerd.events.TaskPaused");
}

/// It runs again.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TaskResumed {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

impl Event for TaskResumed {
    const KIND: (&'static str, &'static str) = ("/tasks/resumed", "containerd.events.TaskResumed");
}
