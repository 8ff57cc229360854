//! The Kubernetes side of an experiment: its objects, the connection, what the watch tells; and the
//! installation on a cluster that the lab did not bring up.

pub mod installer;
pub mod installer_objects;
pub mod kubernetes;
pub mod manifest;
pub mod namespace_thread;
pub mod pod_table;
pub mod remote_exec;
pub mod target;
