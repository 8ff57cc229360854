//! The node's network: a namespace of its own, in it one bridge that carries the node's address
//! and every pod, or, for more pods than a bridge has ports, a pair of interfaces for each pod.
//! Nothing leads to the host. Between the nodes of a cluster lies a wire: a bridge
//! in the control plane's namespace, with a port for each worker.

use std::fs;
use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde_json::{Value, json};

use crate::member::Member;
use crate::scale::PodNetwork;

/// The control plane's address: the API server, the kubelet and metrics-server listen on it. The
/// host's side reaches it from inside a node's network namespace only, so it is the same for every
/// cluster.
pub const NODE_ADDRESS: &str = "10.88.0.1";
/// Addresses of services. Nothing routes them: there is no kube-proxy.
pub const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// First address of [`SERVICE_SUBNET`], which `kubernetes.default` gets.
pub const SERVICE_ADDRESS: &str = "10.96.0.1";

const BRIDGE: &str = "lab0";
/// Fixed, or the bridge would take the lowest address of its ports and change it with the pods.
const BRIDGE_MAC: &str = "02:57:41:4d:52:01";
/// The node's end of the wire; the control plane's is a bridge.
const WIRE: &str = "wire0";
const WIRE_MAC: &str = "02:57:41:4d:52:02";
const WIRE_PREFIX_LENGTH: u8 = 24;
/// Standard input of `ip` is the network namespace that the other end goes to.
const STDIN: &str = "/proc/self/fd/0";

/// The network configuration list of every pod. Source: CNI specification 1.0, plugin manuals.
pub fn cni_conflist(member: &Member, network: PodNetwork) -> Value {
    let subnet = member.subnet(network.prefix_length());
    let mut plugin = match network {
        PodNetwork::Bridge => json!({
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": false
        }),
        PodNetwork::PointToPoint => json!({ "type": "ptp", "ipMasq": false }),
    };
    plugin["ipam"] = json!({
        "type": "host-local",
        // Not on disk: the leases must not outlive the node's network namespace.
        "dataDir": "/run/cni/networks",
        "ranges": [[{ "subnet": subnet, "gateway": member.address() }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
    });
    json!({ "cniVersion": "1.0.0", "name": "lab", "plugins": [plugin] })
}

/// The `ip` commands that bring the network up, in order. Pure.
///
/// The bridge is there without ports, too: it carries the node's address, which outlives any pod.
fn commands(member: &Member, prefix_length: u8) -> [String; 6] {
    let address = member.address();
    [
        "link set lo up".to_owned(),
        format!("link add {BRIDGE} type bridge"),
        format!("link set {BRIDGE} address {BRIDGE_MAC}"),
        format!("address add {address}/{prefix_length} dev {BRIDGE}"),
        format!("link set {BRIDGE} up"),
        // Some daemons look for the interface of the default route; packets beyond go nowhere.
        format!("route add default dev {BRIDGE}"),
    ]
}

/// Brings the network up with the node's own `ip`; `prefix_length` is that of its addresses.
///
/// # Errors
/// A command fails; the text has its output.
pub fn up(member: &Member, prefix_length: u8) -> Result<()> {
    if member.index > 0 {
        let forward = "/proc/sys/net/ipv4/ip_forward";
        fs::write(forward, "1")
            .into_diagnostic()
            .wrap_err_with(|| format!("write 1 to {forward}"))?;
    }
    for arguments in commands(member, prefix_length) {
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

/// The `ip` commands that lay the wire in the control plane. Pure.
pub fn wire_commands(control_plane: &Member) -> [String; 4] {
    let address = control_plane.wire_address();
    [
        format!("link add {WIRE} type bridge"),
        // Else it would be the lowest of its ports, and change when a worker joins.
        format!("link set {WIRE} address {WIRE_MAC}"),
        format!("address add {address}/{WIRE_PREFIX_LENGTH} dev {WIRE}"),
        format!("link set {WIRE} up"),
    ]
}

/// The `ip` commands that connect a worker: in the control plane, with the worker's network
/// namespace as standard input, then in the worker. Pure.
pub fn join_commands(worker: &Member, all: &[Member]) -> (Vec<String>, Vec<String>) {
    let port = worker.wire_port();
    let at_control_plane = vec![
        format!("link add {port} type veth peer name {WIRE} netns {STDIN}"),
        format!("link set {port} master {WIRE}"),
        format!("link set {port} up"),
        route(worker, NODE_ADDRESS),
    ];
    let mut at_worker = vec![
        format!("address add {}/{WIRE_PREFIX_LENGTH} dev {WIRE}", worker.wire_address()),
        format!("link set {WIRE} up"),
    ];
    let others = all.iter().filter(|other| *other != worker);
    at_worker.extend(others.map(|other| route(other, &worker.address())));
    (at_control_plane, at_worker)
}

/// To the pods of `member`, from the node with the address `source`.
fn route(member: &Member, source: &str) -> String {
    format!("route add {} via {} src {source}", member.pod_subnet(), member.wire_address())
}

#[test]
fn the_network_as_configured() {
    let member = Member::control_plane("lab");
    let bridge = format!("{:#}", cni_conflist(&member, PodNetwork::Bridge));
    insta::assert_snapshot!("cni_conflist", bridge);
    insta::assert_snapshot!("ip_commands", commands(&member, 21).join("\n"));
    let many = format!("{:#}", cni_conflist(&member, PodNetwork::PointToPoint));
    insta::assert_snapshot!("cni_conflist_of_many_pods", many);
}

#[test]
fn the_wire_of_two_workers() {
    let mut all = vec![Member::control_plane("lab")];
    all.extend(crate::member::workers("lab", 2));
    let mut parts = vec![wire_commands(&all[0]).join("\n")];
    for worker in &all[1..] {
        let (at_control_plane, at_worker) = join_commands(worker, &all);
        parts.push(format!(
            "\n\nto {}:\n{}\nin {}:\n{}",
            worker.name,
            at_control_plane.join("\n"),
            worker.name,
            at_worker.join("\n")
        ));
    }
    insta::assert_snapshot!(parts.concat());
}
