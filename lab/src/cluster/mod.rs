//! The cluster that pods are made on.

pub mod kubernetes;
pub mod manifest;
pub mod namespace_thread;
pub mod pod_table;
