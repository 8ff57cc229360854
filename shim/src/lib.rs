//! A containerd shim that serves many pods from one process.
//!
//! containerd runs `containerd-shim-wamr-crun-v1 start` for every container and is told the socket
//! of a process that serves up to 128 pods (`shard`, `start`, `serve`). That process answers the
//! task service (`task/`) on one thread (`ttrpc/`, one epoll loop) and has the OCI runtime
//! wamr-crun make each container (`runtime_cli`), as a process of its own in its own control group.
//! For a pod's pause container there is no process: its namespaces are held by descriptors
//! (`sandbox`).
//!
//! docs/shim.md has the protocol's facts and what happens when something ends unexpectedly.

pub mod api;
pub mod arguments;
pub mod bootstrap;
pub mod delete;
pub mod error;
pub mod events;
pub mod fifo_owner;
pub mod handover;
pub mod id_maps;
pub mod info;
pub mod logger;
pub mod mounts;
pub mod open_files;
pub mod poll;
pub mod runtime_cli;
pub mod sandbox;
pub mod serve;
pub mod shard;
pub mod spec;
pub mod start;
pub mod stats;
pub mod stdio;
pub mod sys;
pub mod task;
pub mod terminal;
pub mod ttrpc;
pub mod upgrade;
pub mod worker;
