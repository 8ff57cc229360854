//! Pods with a user namespace (`hostUsers: false`), by both handlers: their root is a user of the
//! node that may do nothing there.

use crate::pauseless::nothing_is_left;
use crate::test_node::Node;

const PODS: &str = include_str!("mapped.yaml");
/// containerd's shim, and ours.
const CLASSES: [&str; 2] = ["wamr-crun", "wamr"];
/// Before 2.3 containerd asks only shims of its own type what they can, and the kubelet refuses
/// such pods for all others.
const ASKS_NO_OTHERS: &str = "2.2.";

/// Everything that is asked of such pods.
pub fn scenario(node: &Node) {
    let version = node.shell("containerd --version");
    let asks_all = !version.contains(ASKS_NO_OTHERS);
    for class in CLASSES.into_iter().take(if asks_all { 2 } else { 1 }) {
        println!("class {class}");
        let pods =
            PODS.replace("runtimeClassName: wamr-crun", &format!("runtimeClassName: {class}"));
        node.kubectl_with_input(&["apply", "-f", "-"], &pods);
        running(node);
        users_are_others_on_the_node(node);
        files_belong_to_the_pod(node);
        namespaces_are_shared(node);
        the_node_is_out_of_reach(node);
        if class == "wamr" {
            // Where processes are shared there is one; the other pod has none.
            let pauses = node.process_names().iter().filter(|name| *name == "pause").count();
            assert_eq!(pauses, 1);
        }
        node.kubectl(&["delete", "pod", "--all", "--timeout=90s"]);
        if class == "wamr" {
            nothing_is_left(node);
        }
    }
}

fn exec(node: &Node, pod: &str, container: &str, script: &str) -> String {
    let words = ["exec", pod, "-c", container, "--", "/bin/sh", "-c", script];
    node.kubectl(&words).trim().to_owned()
}

/// The helper becomes ready by an exec probe on what is written here.
fn running(node: &Node) {
    for pod in ["mapped", "mapped-sharing"] {
        node.eventually(&format!("{pod} runs"), || {
            let phase = node.kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"]);
            (phase == "Running").then_some(())
        });
    }
    exec(node, "mapped", "helper", "echo from the helper > /both/note");
    node.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]);
}

fn users_are_others_on_the_node(node: &Node) {
    let outside = |pod: &str, container: &str, map: &str| {
        let line = exec(node, pod, container, &format!("/bin/busybox cat /proc/self/{map}"));
        let numbers: Vec<u32> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let [0, outside, 65536] = numbers[..] else { panic!("{pod}: {line}") };
        assert!(outside >= 65536, "{line}");
        outside
    };
    let user = outside("mapped", "other", "uid_map");
    assert_eq!(outside("mapped", "helper", "gid_map"), user);
    assert_ne!(outside("mapped-sharing", "helper", "uid_map"), user, "each pod has its own");
    let who = exec(node, "mapped", "helper", "/bin/busybox id -u");
    assert_eq!(who, "0");
    let script = format!("cat /proc/*/status 2>/dev/null | grep -c '^Uid:.{user}'");
    let found: u32 = node.shell(&script).trim().parse().unwrap();
    assert!(found >= 3, "processes of {user} on the node: {found}");
}

fn files_belong_to_the_pod(node: &Node) {
    let seen = exec(node, "mapped", "guest", "/bin/busybox cat /both/note");
    assert_eq!(seen, "from the helper");
    let owner = "/bin/busybox stat -c %u:%g";
    for file in ["/bin/busybox", "/both/note", "/guest"] {
        assert_eq!(exec(node, "mapped", "helper", &format!("{owner} {file}")), "0:0", "{file}");
    }
    // Its root file system is its own to write to.
    let script = format!("echo new > /new && {owner} /new && echo logged > /dev/stdout");
    assert_eq!(exec(node, "mapped", "helper", &script), "0:0\nlogged");
}

fn namespaces_are_shared(node: &Node) {
    let namespace = |pod: &str, container: &str, kind: &str| {
        exec(node, pod, container, &format!("/bin/busybox readlink /proc/self/ns/{kind}"))
    };
    for kind in ["user", "ipc", "uts", "net"] {
        let host = node.shell(&format!("readlink /proc/self/ns/{kind}")).trim().to_owned();
        let [other, helper] = ["other", "helper"].map(|name| namespace("mapped", name, kind));
        assert_eq!(other, helper, "{kind}");
        assert_ne!(other, host, "{kind}: the node's");
    }
    assert_eq!(exec(node, "mapped", "guest", "/bin/busybox hostname"), "named");
    assert_eq!(exec(node, "mapped-sharing", "helper", "/bin/busybox cat /proc/1/comm"), "pause");
}

fn the_node_is_out_of_reach(node: &Node) {
    let words = ["exec", "mapped", "-c", "helper", "--", "/bin/sh", "-c"];
    let script = "echo 1 > /proc/sys/kernel/panic";
    let (code, text) = node.try_kubectl(&[&words[..], &[script]].concat(), "");
    assert_ne!(code, 0, "{text}");
}
