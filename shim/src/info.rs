//! What this runtime is: the answer to `-info`.

use crate::api::Any;
use crate::api::runtime::{FEATURES, RuntimeInfo, RuntimeVersion};
use crate::runtime_cli::RuntimeCli;
use prost::Message;
use serde_json::Value;

/// A RuntimeInfo. The OCI runtime's features are left out if it cannot be run.
pub fn info() -> Vec<u8> {
    let features =
        RuntimeCli::find("/run/wamr-shim".into()).and_then(|runtime| runtime.features()).ok();
    let features = features.and_then(|json| without_mapped_roots(&json));
    let version =
        RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), revision: String::new() };
    RuntimeInfo {
        name: "io.containerd.wamr-crun.v1".to_owned(),
        version: Some(version),
        features: features.map(|value| Any { type_url: FEATURES.to_owned(), value }),
    }
    .encode_to_vec()
}

/// The runtime's features without id-mapped mounts: the runtime can make them, but the shim makes
/// the root file systems, and cannot. Where a handler has the feature, containerd lets the kubelet
/// send it pods with user namespaces.
fn without_mapped_roots(features: &[u8]) -> Option<Vec<u8>> {
    let mut features: Value = serde_json::from_slice(features).ok()?;
    if let Some(enabled) = features.pointer_mut("/linux/mountExtensions/idmap/enabled") {
        *enabled = false.into();
    }
    serde_json::to_vec(&features).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_with_user_namespaces_are_not_asked_for() {
        let idmap =
            |enabled: bool| json!({"linux": {"mountExtensions": {"idmap": {"enabled": enabled}}}});
        for (of_runtime, want) in [
            (idmap(true), Some(idmap(false))),
            (json!({"hooks": ["prestart"]}), Some(json!({"hooks": ["prestart"]}))),
        ] {
            let told = without_mapped_roots(of_runtime.to_string().as_bytes());
            let told = told.map(|json| serde_json::from_slice::<Value>(&json).unwrap());
            assert_eq!(told, want, "{of_runtime}");
        }
        assert_eq!(without_mapped_roots(b"no JSON"), None);
    }
}
