//! The node's network: a namespace of its own, in it one bridge that carries the node's address
//! and every pod. Nothing leads to the host.

use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde_json::{Value, json};

/// The node's address: the API server, the kubelet and metrics-server listen on it. The host's side
/// reaches it from inside the node's network namespace only, so it is the same for every node.
pub const NODE_ADDRESS: &str = "10.88.0.1";
/// Addresses of node and pods: 2,046, more than a bridge has ports (1,023).
pub const POD_SUBNET: &str = "10.88.0.0/21";
const POD_PREFIX_LENGTH: u8 = 21;
/// Addresses of services. Nothing routes them: there is no kube-proxy.
pub const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// First address of [`SERVICE_SUBNET`], which `kubernetes.default` gets.
pub const SERVICE_ADDRESS: &str = "10.96.0.1";

const BRIDGE: &str = "lab0";
/// Fixed, or the bridge would take the lowest address of its ports and change it with the pods.
const BRIDGE_MAC: &str = "02:57:41:4d:52:01";

/// The network configuration list of every pod. Source: CNI specification 1.0, plugin manuals.
pub fn cni_conflist() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": false,
            "ipam": {
                "type": "host-local",
                // Not on disk: the leases must not outlive the node's network namespace.
                "dataDir": "/run/cni/networks",
                "ranges": [[{ "subnet": POD_SUBNET, "gateway": NODE_ADDRESS }]],
                "routes": [{ "dst": "0.0.0.0/0" }]
            }
        }]
    })
}

/// The `ip` commands that bring the network up, in order. Pure.
fn commands() -> [String; 6] {
    [
        "link set lo up".to_owned(),
        format!("link add {BRIDGE} type bridge"),
        format!("link set {BRIDGE} address {BRIDGE_MAC}"),
        format!("address add {NODE_ADDRESS}/{POD_PREFIX_LENGTH} dev {BRIDGE}"),
        format!("link set {BRIDGE} up"),
        // Some daemons look for the interface of the default route; packets beyond go nowhere.
        format!("route add default dev {BRIDGE}"),
    ]
}

/// Brings the network up with the node's own `ip`.
///
/// # Errors
/// A command fails; the text has its output.
pub fn up() -> Result<()> {
    for arguments in commands() {
        let output = Command::new("ip")
            .args(arguments.split(' '))
            .env("PATH", crate::layout::PATH)
            .output()
            .into_diagnostic()
            .wrap_err_with(|| format!("run ip {arguments}: is iproute2 in the node image?"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("ip {arguments}: {}: {}", output.status, text.trim());
        }
    }
    Ok(())
}

#[test]
fn the_network_as_configured() {
    insta::assert_snapshot!("cni_conflist", format!("{:#}", cni_conflist()));
    insta::assert_snapshot!("ip_commands", commands().join("\n"));
}
