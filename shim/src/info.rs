//! What this runtime is: the answer to `-info`.

use crate::api::Any;
use crate::api::runtime::{FEATURES, RuntimeInfo, RuntimeVersion};
use crate::runtime_cli::RuntimeCli;
use prost::Message;

/// A RuntimeInfo. The OCI runtime's features are left out if it cannot be run.
pub fn info() -> Vec<u8> {
    let features =
        RuntimeCli::find("/run/wamr-shim".into()).and_then(|runtime| runtime.features()).ok();
    let version =
        RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), revision: String::new() };
    RuntimeInfo {
        name: "io.containerd.wamr-crun.v1".to_owned(),
        version: Some(version),
        features: features.map(|value| Any { type_url: FEATURES.to_owned(), value }),
    }
    .encode_to_vec()
}
