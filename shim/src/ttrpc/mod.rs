//! ttrpc: containerd's calls, and the calls to containerd.
//!
//! By hand: the crate ttrpc 0.8.6 adds 281 kB to a static program with one method (profile
//! `resident`, 2026-11-30), a second library for protobuf, and threads for each connection, where
//! the shim has one for all.

pub mod connection;
pub mod frame;
