//! The plan: what `wamr-crun` tells `wamr-runner` about one Wasm process.
//!
//! The runtime writes it to a memfd, the runner reads it once and frees it. It holds what WAMR
//! needs and nothing of config.json besides: the runner parses no JSON.
//!
//! [`Plan`] owns its strings and is what the runtime fills in. [`PlanRef`] borrows them from the
//! bytes and allocates nothing, which is what the runner wants. `bytes.rs` has the layout.

mod borrowed;
mod bytes;

pub use borrowed::{PlanRef, Preopens, Strings};
pub use bytes::DecodeError;

/// The guest's stack unless something else is asked for: as much as a native program has. What it
/// does not use costs nothing.
pub const DEFAULT_STACK_BYTES: u32 = 8 << 20;

/// One Wasm process, as the runner starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The open module file (bytecode or AOT), read-only, inherited over the exec.
    pub module_fd: u32,
    /// `process.args`, the guest's `argv[0]` included.
    pub args: Vec<Vec<u8>>,
    /// `process.env`, each `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// `process.cwd`; the guest sees it as the directory of relative paths.
    pub cwd: Vec<u8>,
    /// The directories that the guest may open.
    pub preopens: Vec<Preopen>,
    /// Networks (CIDR) the guest may connect to or listen on; empty: no sockets.
    pub socket_networks: Vec<Vec<u8>>,
    /// Host names the guest may resolve; `*` at the start stands for anything. Empty: none.
    pub socket_names: Vec<Vec<u8>>,
    /// How much stack the guest's calls may use: WAMR's operand stack, or the native stack.
    pub stack_bytes: u32,
    /// WAMR's host-managed heap in bytes; WASI programs need none.
    pub heap_bytes: u32,
    /// Upper limit of the guest's linear memory in 64 KiB pages; 0 leaves the module's own.
    pub max_memory_pages: u32,
}

/// A directory the guest may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preopen {
    /// The name the guest sees.
    pub guest_path: Vec<u8>,
    /// The directory inside the container's root that stands behind it.
    pub container_path: Vec<u8>,
}

impl Plan {
    /// The plan as bytes for the runner.
    ///
    /// A string with a NUL byte inside, which no argv, environment or path can hold, encodes to
    /// bytes that [`PlanRef::parse`] refuses.
    pub fn encode(&self) -> Vec<u8> {
        bytes::encode(self)
    }

    /// Reads what [`Plan::encode`] wrote, into strings of its own.
    ///
    /// # Errors
    /// As [`PlanRef::parse`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(PlanRef::parse(bytes)?.to_plan())
    }
}
