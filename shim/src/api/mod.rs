//! The messages of containerd's interfaces, written out by hand: the few that a shim needs.
//!
//! Source: containerd api/runtime/task/v2, api/events, api/types; ttrpc's request.proto.

pub mod event;
pub mod rpc;
pub mod runtime;
pub mod task;

use prost::Message;
use std::time::{SystemTime, UNIX_EPOCH};

/// google.protobuf.Any: a message and its name.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// Name of the message; containerd leaves out the host.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, or JSON where the name says so.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// google.protobuf.Timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    /// Since 1970 in UTC.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Of the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// This moment.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
    }
}

/// google.protobuf.Empty.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}
