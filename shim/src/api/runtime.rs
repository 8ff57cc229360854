//! What a shim says of itself, for containerd 2.2 and later.

use super::Any;
use prost::Message;

/// Name of the OCI runtime's features, which are JSON.
pub const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// The answer to `-info`. Source: containerd api/types/introspection.proto.
#[derive(Clone, PartialEq, Message)]
pub struct RuntimeInfo {
    /// `io.containerd.wamr-crun.v1`
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of this program.
    #[prost(message, optional, tag = "2")]
    pub version: Option<RuntimeVersion>,
    /// Of the OCI runtime.
    #[prost(message, optional, tag = "4")]
    pub features: Option<Any>,
}

/// A version.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RuntimeVersion {
    /// `0.1.0`
    #[prost(string, tag = "1")]
    pub version: String,
    /// The commit.
    #[prost(string, tag = "2")]
    pub revision: String,
}
