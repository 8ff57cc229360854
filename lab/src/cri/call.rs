//! One call to containerd's RuntimeService.

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// With some hundred sandboxes a list of them is larger than tonic's 4 MiB.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A connection; clones share it.
#[derive(Clone, Debug)]
pub struct Connection(Channel);

impl Connection {
    /// Connects to containerd's socket at `socket`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(socket: &Path) -> Result<Self> {
        let address = format!("unix:{}", socket.display());
        let shown = || format!("connect to containerd at {address}");
        let endpoint =
            Endpoint::from_shared(address.clone()).into_diagnostic().wrap_err_with(shown)?;
        Ok(Self(endpoint.connect().await.into_diagnostic().wrap_err_with(shown)?))
    }

    /// Calls `method` and waits for its answer.
    ///
    /// # Errors
    /// containerd refuses; the text has its words.
    pub async fn call<Request, Answer>(&self, method: &str, request: Request) -> Result<Answer>
    where
        Request: Message + 'static,
        Answer: Message + Default + 'static,
    {
        let path = format!("/runtime.v1.RuntimeService/{method}");
        let path = PathAndQuery::try_from(path).into_diagnostic().wrap_err("name a call")?;
        let mut client = Grpc::new(self.0.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        client.ready().await.into_diagnostic().wrap_err("wait for containerd")?;
        let codec = ProstCodec::<Request, Answer>::default();
        let answer = client.unary(tonic::Request::new(request), path, codec).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| miette!("{method}: {}", status.message()))
    }
}
