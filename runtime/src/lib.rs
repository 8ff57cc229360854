//! An OCI runtime that runs WebAssembly containers on WAMR and native containers alike.
//!
//! `verb/` has a file per verb. `create` goes through `bundle` (config.json), `process::setup`
//! (everything planned, nothing made), `launch` (state directory, control groups, gate) and
//! `process::spawn`; the child performs `process::steps` in their order and becomes the
//! container's program, or the Wasm runner (`workload`, `process::exec`).
//!
//! Needs Linux 5.12: clone3, openat2, close_range and the descriptor-based mount calls.

pub mod bundle;
pub mod capabilities;
pub mod cgroup;
pub mod cli;
mod compilation;
pub mod compiled;
mod compiler_groups;
pub mod config_json;
pub mod console;
pub mod container;
pub mod error;
pub mod fds;
pub mod foreground;
pub mod hooks;
pub mod id_maps;
mod installed;
pub mod intel_rdt;
pub mod interpretable;
pub mod launch;
pub mod log;
pub mod lsm;
pub mod memory_policy;
pub mod namespaces;
pub mod net_devices;
pub mod netlink;
pub mod notify;
pub mod personality;
pub mod pidfd_socket;
pub mod process;
pub mod rlimits;
pub mod rootfs;
pub mod scheduling;
pub mod seccomp;
mod seccomp_cache;
pub mod self_exe;
pub mod state_file;
pub mod sys;
pub mod sysctl;
pub mod validate;
pub mod verb;
pub mod workload;
