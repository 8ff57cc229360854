//! The objects of an installation on a cluster: those that bring a privileged pod to every node,
//! and the RuntimeClasses. Pure.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::cluster_node::programs::HANDLER;

/// Namespace, DaemonSet and the value of their label.
pub const NAME: &str = "wamr-lab";
/// Who made an object; only what carries it is deleted.
pub const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", NAME);
/// The label of pods of the DaemonSet.
pub const POD_LABEL: (&str, &str) = ("app.kubernetes.io/name", "wamr-lab-node");
/// The label of nodes that have the runtime.
pub const NODE_LABEL: (&str, &str) = ("wamr-lab/runtime", HANDLER);
/// The container of those pods.
pub const CONTAINER: &str = "node";
/// The lab in their image.
pub const LAB: &str = "/wamr-lab";

/// The namespace; its pods may be privileged.
pub fn namespace() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAME,
            "labels": {
                MADE_BY.0: MADE_BY.1,
                "pod-security.kubernetes.io/enforce": "privileged",
            },
        },
    })
}

/// A pod on every node that takes pods: root with the host's processes and network, and idle until
/// the lab runs something in it. It has no token for the API.
pub fn daemon_set(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": NAME, "namespace": NAME, "labels": { MADE_BY.0: MADE_BY.1 } },
        "spec": {
            "selector": { "matchLabels": { POD_LABEL.0: POD_LABEL.1 } },
            "template": {
                "metadata": { "labels": { POD_LABEL.0: POD_LABEL.1 } },
                "spec": {
                    "hostPID": true,
                    "hostNetwork": true,
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 1,
                    "nodeSelector": { "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" },
                    "containers": [{
                        "name": CONTAINER,
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": [LAB, "on-node", "idle"],
                        "securityContext": { "privileged": true },
                    }],
                },
            },
        },
    })
}

/// A class of pods for one of the handlers: they go to nodes that have it.
pub fn runtime_class(handler: &str) -> Value {
    json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": handler, "labels": { MADE_BY.0: MADE_BY.1 } },
        "handler": handler,
        "scheduling": { "nodeSelector": { NODE_LABEL.0: NODE_LABEL.1 } },
    })
}

/// The class of pods for containerd's own runc, which experiments compare with; clusters seldom
/// have one.
pub fn runc_class() -> Value {
    json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": "runc", "labels": { MADE_BY.0: MADE_BY.1 } },
        "handler": "runc",
    })
}

/// True if pods without tolerations may come to the node, and the programs run there.
pub fn takes_pods(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    let tainted = spec
        .and_then(|spec| spec.taints.as_ref())
        .is_some_and(|taints| taints.iter().any(|taint| taint.effect != "PreferNoSchedule"));
    let cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    let labels = node.metadata.labels.as_ref();
    let is = |key: &str, value: &str| {
        labels.and_then(|labels| labels.get(key)).is_some_and(|have| have == value)
    };
    !tainted && !cordoned && is("kubernetes.io/os", "linux") && is("kubernetes.io/arch", "amd64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_node::programs::HANDLERS;

    #[test]
    fn the_objects() {
        let classes = HANDLERS.map(runtime_class);
        let all = [namespace(), daemon_set("registry/node:1"), json!(classes), runc_class()];
        let text: Vec<String> = all.iter().map(|object| format!("{object:#}")).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn pods_go_to_ordinary_nodes() {
        let node = |spec: Value, arch: &str| -> Node {
            serde_json::from_value(json!({
                "metadata": { "labels": {
                    "kubernetes.io/os": "linux", "kubernetes.io/arch": arch,
                } },
                "spec": spec,
            }))
            .unwrap()
        };
        let taint = |effect: &str| json!({ "taints": [{ "key": "k", "effect": effect }] });
        for (spec, arch, want) in [
            (json!({}), "amd64", true),
            (json!({}), "arm64", false),
            (json!({ "unschedulable": true }), "amd64", false),
            (taint("NoSchedule"), "amd64", false),
            (taint("PreferNoSchedule"), "amd64", true),
        ] {
            assert_eq!(takes_pods(&node(spec.clone(), arch)), want, "{spec} {arch}");
        }
    }
}
