//! Who reads the nodes of a run. A node of this machine is read from its files; a node of a cluster
//! by the same code in the lab's pod there. Several nodes are measured together: their pods are one
//! batch, and their memory is one sum.
//!
//! Nodes may share a machine, as those of `node up --workers` do: then they have one kernel, and
//! its memory counts once.

pub mod aggregate;
pub mod clocks;
pub mod per_node;
pub mod question;
pub mod remote;
pub mod sampler;
pub mod serve;
