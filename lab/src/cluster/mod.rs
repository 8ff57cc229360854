//! The Kubernetes side of an experiment: its objects, the connection, what the watch tells; and the
//! lab's foothold on a cluster that it did not bring up.

pub mod foothold;
pub mod hands;
pub mod kubernetes;
pub mod manifest;
pub mod namespace_thread;
pub mod pod_table;
pub mod target;
