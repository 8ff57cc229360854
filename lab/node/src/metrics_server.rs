//! metrics-server as a process of the node: its command line and the objects that put it behind
//! the API. Pure. Source: metrics-server 0.9 manifests and `--help`.

use serde_json::{Value, json};

use crate::daemon::{Daemon, flags};
use crate::kubeconfig::base64;
use crate::layout::{CONFIG_DIR, PKI_DIR};
use crate::network::NODE_ADDRESS;

/// Any port that no daemon has.
const PORT: u16 = 4443;
const NAME: &str = "metrics-server";
const NAMESPACE: &str = "kube-system";

/// metrics-server itself, scraping every `resolution_s` seconds.
pub fn daemon(resolution_s: u32) -> Daemon {
    let kubeconfig = format!("{CONFIG_DIR}/metrics-server.kubeconfig");
    let pki = |name: &str| format!("{PKI_DIR}/{name}");
    let pairs = [
        ("secure-port", PORT.to_string()),
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("tls-cert-file", pki("metrics-server-serving.crt")),
        ("tls-private-key-file", pki("metrics-server-serving.key")),
        ("kubelet-certificate-authority", pki("ca.crt")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ("kubelet-request-timeout", format!("{}s", kubelet_timeout_s(resolution_s))),
        ("metric-resolution", format!("{resolution_s}s")),
    ];
    Daemon::new(NAME, "/usr/local/bin/metrics-server", flags(pairs))
}

/// How long the kubelet may take. It must stay below the resolution; where figures come slowly the
/// kubelet is slow, too.
fn kubelet_timeout_s(resolution_s: u32) -> u32 {
    resolution_s.saturating_sub(10).max(5)
}

/// Rights of the user `metrics-server`, and the way from the API server to the process.
pub fn objects(ca_certificate: &str) -> Vec<Value> {
    let mut objects = rights();
    objects.extend(route(ca_certificate));
    objects
}

fn rights() -> Vec<Value> {
    let subject =
        json!([{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": NAME }]);
    let binding = |name: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role
            },
            "subjects": subject
        })
    };
    let reader = "extension-apiserver-authentication-reader";
    vec![
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": "system:metrics-server" },
            "rules": [
                { "apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"] },
                {
                    "apiGroups": [""],
                    "resources": ["pods", "nodes"],
                    "verbs": ["get", "list", "watch"]
                }
            ]
        }),
        binding("system:metrics-server", "system:metrics-server"),
        binding("metrics-server:system:auth-delegator", "system:auth-delegator"),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": { "name": "metrics-server-auth-reader", "namespace": NAMESPACE },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": reader
            },
            "subjects": subject
        }),
    ]
}

/// A service without a selector: the endpoint is written by hand.
fn route(ca_certificate: &str) -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": NAME, "namespace": NAMESPACE },
            "spec": { "ports": [{ "name": "https", "port": 443, "targetPort": PORT }] }
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": NAME,
                "namespace": NAMESPACE,
                "labels": { "kubernetes.io/service-name": NAME }
            },
            "addressType": "IPv4",
            "ports": [{ "name": "https", "port": PORT, "protocol": "TCP" }],
            "endpoints": [{ "addresses": [NODE_ADDRESS], "conditions": { "ready": true } }]
        }),
        json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": { "name": "v1beta1.metrics.k8s.io" },
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": { "name": NAME, "namespace": NAMESPACE },
                "caBundle": base64(ca_certificate.as_bytes())
            }
        }),
    ]
}

#[test]
fn the_kubelets_time_is_below_the_resolution() {
    for (resolution_s, want_s) in [(10, 5), (15, 5), (20, 10), (60, 50)] {
        assert_eq!(kubelet_timeout_s(resolution_s), want_s);
    }
}
