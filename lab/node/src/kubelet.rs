//! The kubelet's configuration and command line. Pure.
//! Source: kubelet.config.k8s.io/v1beta1 reference, Kubernetes 1.37.

use serde_json::{Value, json};

use crate::cgroups::CgroupDriver;
use crate::config::{ControlPlane, NodeConfig};
use crate::daemon::{Daemon, flags};
use crate::layout::{CONFIG_DIR, CONTAINERD_SOCKET, PKI_DIR};
use crate::member::Member;

/// The KubeletConfiguration object. JSON is YAML.
pub fn config(node: &NodeConfig) -> Value {
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": format!("{PKI_DIR}/ca.crt") }
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": format!("{PKI_DIR}/kubelet-server.crt"),
        "tlsPrivateKeyFile": format!("{PKI_DIR}/kubelet-server.key"),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        // The node's cgroup namespace makes this the node's own group.
        "cgroupRoot": "/",
        "cgroupDriver": match node.cgroup_driver {
            CgroupDriver::Cgroupfs => "cgroupfs",
            CgroupDriver::Systemd => "systemd",
        },
        "failCgroupV1": false,
        "failSwapOn": false,
        // The values that it checks are the node's own copies.
        "protectKernelDefaults": true,
        // Lowering it needs CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "maxPods": node.max_pods,
        "podPidsLimit": -1,
        "resolvConf": "/etc/resolv.conf",
        "makeIPTablesUtilChains": false,
        // Images are imported and must stay.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        // A rather full disk of the host is no reason to evict.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%"
        }
    });
    if node.control_plane == ControlPlane::Unthrottled {
        config["kubeAPIQPS"] = json!(200);
        config["kubeAPIBurst"] = json!(400);
        config["eventRecordQPS"] = json!(0);
        config["serializeImagePulls"] = json!(false);
    }
    config
}

/// Where the node has the file.
pub fn config_path() -> String {
    format!("{CONFIG_DIR}/kubelet.json")
}

/// The kubelet itself.
pub fn daemon(node: &Member) -> Daemon {
    let kubeconfig = format!("{CONFIG_DIR}/kubelet.kubeconfig");
    Daemon::new(
        "kubelet",
        "/usr/local/bin/kubelet",
        flags([
            ("config", config_path().as_str()),
            ("kubeconfig", &kubeconfig),
            ("hostname-override", &node.name),
            ("node-ip", &node.address()),
        ]),
    )
}

#[test]
fn the_configuration() {
    let image = wamr_image::NodeImage {
        rootfs: "/rootfs".into(),
        versions: std::collections::BTreeMap::new(),
        programs: Vec::new(),
        workloads: std::collections::BTreeMap::new(),
    };
    let runtimes = crate::runtimes::RuntimeTable::new();
    let mut node = NodeConfig::new("demo", image, runtimes, "/dist".into());
    insta::assert_snapshot!(format!("{:#}", config(&node)));
    node.control_plane = ControlPlane::Stock;
    assert!(config(&node).get("kubeAPIQPS").is_none(), "stock must leave the defaults alone");
    node.cgroup_driver = CgroupDriver::Systemd;
    assert_eq!(config(&node)["cgroupDriver"], "systemd");
}
