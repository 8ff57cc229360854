//! Pods made through containerd's CRI, without Kubernetes: what a pod costs where no control plane
//! and no kubelet grow with it.

pub mod call;
pub mod message;
pub mod pods;
pub mod request;
