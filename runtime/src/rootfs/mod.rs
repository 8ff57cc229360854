//! The container's file system: config.json's mounts become steps (pure), then they are applied.
//!
//! Every path of the container is resolved by openat2 inside its root, so that a symlink in the
//! image cannot name a place of the host; no path is ever joined as a string.

pub mod apply;
pub mod cgroup_view;
pub mod copy_up;
pub mod devices;
pub mod id_mapped;
pub mod in_root;
pub mod masked;
pub mod mounts;
pub mod options;
pub mod pivot;
