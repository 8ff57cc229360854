//! A real Kubernetes node in namespaces of this machine.
//!
//! [`NativeNode::up`] makes three kinds of process:
//!
//! ```text
//! lab --spawn--> keeper --fork--> init (PID 1 of the node) --> containerd, etcd, kubelet, …
//!  +--- control socket: requests and events ---+
//! ```
//!
//! The *keeper* stays in the host's namespaces, waits for init and removes what a node leaves on
//! the host (control groups, directories), also when the lab was killed. *init* enters namespaces
//! of its own, mounts the root file system, starts the daemons that the lab asks for and reaps.
//! Both are this very program, run again under another name: a program that uses this crate calls
//! [`entry::enter_if_asked`] first in `main`.

pub mod entry;
pub mod runtimes;
pub mod vm;

mod any_node;
mod assemble;
mod bring_up;
mod cgroups;
mod command_output;
mod config;
mod containerd;
mod control_plane;
mod daemon;
mod error_chain;
mod init;
mod kubeconfig;
mod kubelet;
mod layout;
mod machine_node;
mod member;
mod metrics_server;
mod namespaces;
mod native_node;
mod network;
mod node_handle;
mod objects;
mod pki;
mod prepare;
mod process_id;
mod provided_config;
mod record;
mod reservation;
mod rootfs;
mod scale;
mod site;
mod spawn;
mod start;
mod sys;
mod traces;
mod units;
mod wire;
mod workers;

pub use any_node::Node;
pub use cgroups::CgroupDriver;
pub use config::{ControlPlane, DEFAULT_METRIC_RESOLUTION_S, NodeConfig};
pub use control_plane::ETCD_ADDRESS;
pub use daemon::Daemon;
pub use init::{INIT_COMM, RESTART};
pub use layout::DEBUG_SOCKET;
pub use machine_node::{MachineNode, MachineSpec, VirtualMachine};
pub use member::{Member, is_worker_of, name_of};
pub use native_node::NativeNode;
pub use network::NODE_ADDRESS;
pub use scale::{MAX_PODS, USUAL_PODS};
