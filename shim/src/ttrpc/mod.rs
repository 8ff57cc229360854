//! ttrpc: containerd's calls, and the calls to containerd.

pub mod connection;
pub mod frame;
