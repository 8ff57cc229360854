//! Command lines of etcd, the API server, the controller manager and the scheduler. Pure.
//! Source: `--help` of the programs, Kubernetes 1.37 and etcd 3.7.

use crate::config::ControlPlane;
use crate::daemon::{Daemon, flags};
use crate::layout::{CONFIG_DIR, PKI_DIR};
use crate::network::{NODE_ADDRESS, SERVICE_SUBNET};

/// Where etcd answers, also for its heap profile.
pub const ETCD_ADDRESS: &str = "127.0.0.1:2379";
const ETCD_URL: &str = "http://127.0.0.1:2379";
const ETCD_PEER_URL: &str = "http://127.0.0.1:2380";

/// Raised limits of the controller manager and the scheduler; their defaults are 20/30 and 50/100.
const UNTHROTTLED: [(&str, &str); 2] = [("kube-api-qps", "500"), ("kube-api-burst", "1000")];

/// etcd. It answers on loopback only, which no pod shares.
pub fn etcd() -> Daemon {
    let cluster = format!("lab={ETCD_PEER_URL}");
    let pairs = [
        ("name", "lab"),
        ("data-dir", "/var/lib/etcd"),
        ("listen-client-urls", ETCD_URL),
        ("advertise-client-urls", ETCD_URL),
        ("listen-peer-urls", ETCD_PEER_URL),
        ("initial-advertise-peer-urls", ETCD_PEER_URL),
        ("initial-cluster", &cluster),
        // The cluster's state need not outlive the machine's power.
        ("unsafe-no-fsync", "true"),
        // The lab can have it collect its heap before a level of memory is read.
        ("enable-pprof", "true"),
        ("log-level", "warn"),
    ];
    Daemon::new("etcd", "/usr/local/bin/etcd", flags(pairs))
}

/// kube-apiserver.
pub fn apiserver() -> Daemon {
    let pki = |name: &str| format!("{PKI_DIR}/{name}");
    let text = str::to_owned;
    let pairs = [
        ("advertise-address", text(NODE_ADDRESS)),
        ("secure-port", text("6443")),
        ("etcd-servers", text(ETCD_URL)),
        ("service-cluster-ip-range", text(SERVICE_SUBNET)),
        ("allow-privileged", text("true")),
        ("authorization-mode", text("Node,RBAC")),
        ("enable-admission-plugins", text("NodeRestriction")),
        ("client-ca-file", pki("ca.crt")),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
        ("kubelet-certificate-authority", pki("ca.crt")),
        ("kubelet-client-certificate", pki("apiserver-kubelet-client.crt")),
        ("kubelet-client-key", pki("apiserver-kubelet-client.key")),
        // Nothing resolves the node's name.
        ("kubelet-preferred-address-types", text("InternalIP")),
        ("service-account-issuer", text("https://kubernetes.default.svc")),
        ("service-account-key-file", pki("sa.pub")),
        ("service-account-signing-key-file", pki("sa.key")),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("requestheader-allowed-names", text("front-proxy-client")),
        ("requestheader-username-headers", text("X-Remote-User")),
        ("requestheader-group-headers", text("X-Remote-Group")),
        ("requestheader-extra-headers-prefix", text("X-Remote-Extra-")),
        ("proxy-client-cert-file", pki("front-proxy-client.crt")),
        ("proxy-client-key-file", pki("front-proxy-client.key")),
        // Without kube-proxy a service address leads nowhere; endpoints do.
        ("enable-aggregator-routing", text("true")),
    ];
    Daemon::new("kube-apiserver", "/usr/local/bin/kube-apiserver", flags(pairs))
}

/// kube-controller-manager.
pub fn controller_manager(speed: ControlPlane) -> Daemon {
    let name = "kube-controller-manager";
    let key = format!("{PKI_DIR}/sa.key");
    let ca = format!("{PKI_DIR}/ca.crt");
    let own = [
        ("service-account-private-key-file", key.as_str()),
        ("root-ca-file", &ca),
        ("use-service-account-credentials", "true"),
    ];
    Daemon::new(
        name,
        "/usr/local/bin/kube-controller-manager",
        client_flags("controller-manager").chain(flags(own)).chain(speed_flags(speed)),
    )
}

/// kube-scheduler.
pub fn scheduler(speed: ControlPlane) -> Daemon {
    Daemon::new(
        "kube-scheduler",
        "/usr/local/bin/kube-scheduler",
        client_flags("scheduler").chain(speed_flags(speed)),
    )
}

/// What controller manager and scheduler have in common.
fn client_flags(stem: &str) -> impl Iterator<Item = String> {
    let kubeconfig = format!("{CONFIG_DIR}/{stem}.kubeconfig");
    flags([
        ("kubeconfig", kubeconfig.as_str()),
        ("authentication-kubeconfig", &kubeconfig),
        ("authorization-kubeconfig", &kubeconfig),
        ("bind-address", "127.0.0.1"),
        // There is one of each, and an election takes seconds.
        ("leader-elect", "false"),
    ])
    .collect::<Vec<_>>()
    .into_iter()
}

fn speed_flags(speed: ControlPlane) -> impl Iterator<Item = String> {
    let pairs: &[(&str, &str)] = match speed {
        ControlPlane::Stock | ControlPlane::None => &[],
        ControlPlane::Unthrottled => &UNTHROTTLED,
    };
    flags(pairs.iter().copied())
}

#[test]
fn the_command_lines() {
    let lines = |speed| {
        [
            crate::containerd::daemon(),
            etcd(),
            apiserver(),
            controller_manager(speed),
            scheduler(speed),
            crate::kubelet::daemon(&crate::member::Member::control_plane("demo")),
            crate::metrics_server::daemon(crate::config::DEFAULT_METRIC_RESOLUTION_S),
        ]
        .map(|daemon| daemon.argv.join("\n    "))
        .join("\n")
    };
    let stock = lines(ControlPlane::Stock);
    assert!(!stock.contains("qps"), "stock must leave the defaults alone");
    insta::assert_snapshot!(lines(ControlPlane::Unthrottled));
}
