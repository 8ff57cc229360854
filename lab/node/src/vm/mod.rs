//! A node that is a virtual machine of its own, under QEMU.
//!
//! ```text
//! lab --spawn--> keeper --spawn--> QEMU: kernel, initrd, image's disk, node's files
//!  |                                 systemd --> agent
//!  |                                         --> wamr-node.service --> containerd, kubelet, …
//!  +--- port-N.sock: virtio-serial ----- agent: runs commands
//! ```
//!
//! The machine has no network to the host. The *keeper* outlives a killed lab: it ends QEMU and
//! removes what the node leaves. QEMU in turn dies with its keeper.

pub mod agent;
mod frame;
mod inside;
mod keeper;
mod link;
mod probe;
mod profile;
mod qemu;
mod record;
mod seed;
mod vm_node;

pub use keeper::keep;
pub use link::Streams;
pub use profile::{Profile, profile, profiles};
pub use qemu::Accelerator;
pub use record::is_running;
pub use vm_node::{Parts, VmNode};

/// What a machine runs beside systemd and the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// A Kubernetes node.
    Node,
    /// Nothing: a kernel with systemd to try things on.
    Bare,
}

/// argv\[0\] of the keeper of a virtual machine.
pub const KEEPER: &str = "wamr-vm-keeper";

/// Commands that can run in a machine at the same time: each has a port to itself.
pub(crate) const PORTS: usize = 4;

/// The name of a port; the guest finds it in /sys/class/virtio-ports.
pub(crate) fn port_name(index: usize) -> String {
    format!("wamr-lab.{index}")
}
