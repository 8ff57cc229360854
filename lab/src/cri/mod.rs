//! Pods made through containerd's CRI, without Kubernetes: what a pod costs where no control plane
//! and no kubelet grow with it.

pub mod call;
#[expect(missing_docs, reason = "each is named after its message and field of the CRI")]
pub mod message;
pub mod pods;
pub mod request;
