//! Whole containers on this machine's kernel: needs root and a static busybox.
//!
//! Inputs: `WAMR_TEST_RUNTIME`, the runtime under test (crun and runc too; what is ours alone is
//! then skipped); `WAMR_RUNNER`, the Wasm runner; `WAMR_TEST_BUSYBOX`;
//! `WAMR_TEST_CGROUP_MANAGER`, of which `systemd` has systemd make the control groups;
//! `WAMR_TEST_GUESTS`, a directory with the C guests as modules, for a machine without a compiler;
//! `WAMR_TEST_PATIENCE`, a factor on deadlines, for a slow one.
//!
//! Tier: test

mod attacks;
mod compiled;
mod compiling;
mod container;
mod devices;
mod escapes;
mod events;
mod exec;
mod hooks;
mod identity;
mod inherited;
mod isolation;
mod kernel_mounts;
mod lifecycle;
mod limits;
mod listing;
mod many;
mod mount_options;
mod mounts;
mod namespaces;
mod net_devices;
mod pause;
mod redirects;
mod rootless;
mod seccomp;
mod shared_mounts;
mod stress;
mod sys;
mod systemd;
mod terminal;
mod tuning;
mod update;
mod wasm;
mod wasm_files;
mod wasm_guest;
mod wasm_life;
mod wasm_refused;
mod wasm_sockets;
mod words;
