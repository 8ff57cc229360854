//! This shim's own service, on the same sockets.

use prost::Message;

/// Name of the service.
pub const SERVICE: &str = "wamr-crun.shim";

/// Go on as another program.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Upgrade {
    /// Its path.
    #[prost(string, tag = "1")]
    pub program: String,
}

/// The answer of that program.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Upgraded {
    /// Its version.
    #[prost(string, tag = "1")]
    pub version: String,
    /// That of the program before.
    #[prost(string, tag = "2")]
    pub before: String,
    /// The process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
}
