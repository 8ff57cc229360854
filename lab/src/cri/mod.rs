//! Pods made through containerd's CRI, without Kubernetes: what a pod costs where no control plane
//! and no kubelet grow with it.

pub mod call;
#[allow(missing_docs, unused_qualifications, reason = "generated; named as in the CRI")]
#[allow(clippy::pedantic, reason = "generated")]
pub mod generated;
pub mod pods;
pub mod request;
