//! ttrpc's envelope.

use prost::Message;

/// A call.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// `containerd.task.v2.Task`
    #[prost(string, tag = "1")]
    pub service: String,
    /// `Create`
    #[prost(string, tag = "2")]
    pub method: String,
    /// The method's message.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// How long the caller waits; 0 is for ever.
    #[prost(int64, tag = "4")]
    pub timeout_ns: i64,
}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// Left out where all went well.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The method's message.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// google.rpc.Status.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// One of gRPC's codes.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// What went wrong.
    #[prost(string, tag = "2")]
    pub message: String,
}
