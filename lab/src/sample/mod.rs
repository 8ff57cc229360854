//! The sources of memory figures.

pub mod cgroup;
pub mod kubelet;
pub mod meminfo;
pub mod metrics_server;
pub mod quantity;
