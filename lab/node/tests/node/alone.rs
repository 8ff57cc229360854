//! A node without workers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wamr_image::NodeImage;
use wamr_node::runtimes::{Origin, RuntimeTable, origin, parse_table};
use wamr_node::{NativeNode, NodeConfig};
use wamr_progress::Progress;

use crate::left::{assert_no_process_in, assert_nothing, namespaces_of};
use crate::{create, owner, until};

const NAME: &str = "privileged-test";

/// A node with the runtimes of the node image.
pub fn config(image: NodeImage) -> NodeConfig {
    NodeConfig::new(NAME, image, native_runtimes(), PathBuf::from("/nonexistent"))
}

/// Cleans up what an earlier run left.
fn clean_config(image: NodeImage) -> NodeConfig {
    NativeNode::clean(NAME).expect("clean what an earlier run left");
    config(image)
}

/// The rows that need nothing but the node image.
fn native_runtimes() -> RuntimeTable {
    let mut table = parse_table(include_str!("../../../runtimes.toml")).expect("the shipped table");
    table.retain(|_, row| {
        let in_image = |program: &String| matches!(origin(program), Origin::Image(_));
        row.absent.is_none() && row.programs().all(in_image)
    });
    table
}

pub fn runs_a_pod(image: NodeImage) {
    let config = &clean_config(image);
    let network_before = network_of_the_host();
    let node = NativeNode::up(config, &Progress::new()).expect("node up");
    let namespaces = namespaces_of(node.init_pid());
    let ready = node.output(&["kubectl", "get", "nodes", "--no-headers"]).expect("get nodes");
    assert!(ready.contains(NAME) && ready.contains(" Ready "), "{ready}");
    let again = NativeNode::up(config, &Progress::new()).expect_err("the name is taken");
    assert!(again.to_string().contains("up already"), "{again}");

    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{
        "runtimeClassName":"runc","containers":[{"name":"c","imagePullPolicy":"Never",
        "image":"localhost/wamr-lab/pause:1"}]}}"#;
    create(&node, pod);
    let phase = ["kubectl", "get", "pod", "p", "-o", "jsonpath={.status.phase}"];
    until("the pod runs", || node.output(&phase).expect("get pod") == "Running");

    let attached = NativeNode::attach(NAME).expect("attach");
    let status = attached.exec(&["sh", "-c", "exit 7"]).expect("exec");
    assert_eq!(status.code(), Some(7));
    drop(attached);
    node.check().expect("all daemons run after an attached handle was dropped");

    node.down(&Progress::new()).expect("down");
    assert_nothing(&[NAME]);
    assert_no_process_in(&namespaces);
    assert_eq!(network_of_the_host(), network_before);
    NativeNode::clean(NAME).expect("down a second time");
}

pub fn ends_with_its_owner(image: NodeImage) {
    let config = &clean_config(image);
    let (mut owner, line) = owner(NAME);
    let init_pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
    let init_pid = init_pid.expect("the owner prints the PID of init");
    let namespaces = namespaces_of(init_pid);
    // SIGKILL: no destructor runs.
    owner.kill().expect("kill the owner");
    owner.wait().expect("wait for the owner");
    until("init has ended", || !Path::new("/proc").join(init_pid.to_string()).exists());
    NativeNode::clean(&config.name).expect("clean");
    assert_nothing(&[NAME]);
    assert_no_process_in(&namespaces);
}

pub fn tells_of_a_dead_daemon(image: NodeImage) {
    let config = &clean_config(image);
    let node = NativeNode::up(config, &Progress::new()).expect("node up");
    let namespaces = namespaces_of(node.init_pid());
    node.output(&["sh", "-c", "kill -KILL $(pidof etcd)"]).expect("kill etcd");
    let mut told = String::new();
    until("a dead daemon is told", || match node.check() {
        Ok(()) => false,
        Err(error) => {
            told = error.to_string();
            true
        }
    });
    assert!(told.contains("etcd ended: killed by SIGKILL"), "{told}");
    assert!(told.contains("the end of its log"), "{told}");
    drop(node);
    assert_nothing(&[NAME]);
    assert_no_process_in(&namespaces);
}

pub fn refuses_early(image: NodeImage) {
    let config = &clean_config(image);
    let mut wrong = config.clone();
    wrong.image.workloads.remove("pause");
    let error = NativeNode::up(&wrong, &Progress::new()).expect_err("no pause image");
    assert!(error.to_string().contains("no pause image"), "{error}");
    assert_nothing(&[NAME]);
}

/// Interfaces and routes of the host.
fn network_of_the_host() -> (BTreeSet<String>, String) {
    let interfaces = fs::read_dir("/sys/class/net").expect("list interfaces");
    let names = interfaces.map(|entry| entry.expect("an interface").file_name());
    let routes = fs::read_to_string("/proc/net/route").expect("read the routes");
    (names.map(|name| name.to_string_lossy().into_owned()).collect(), routes)
}
