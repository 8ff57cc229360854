//! Wasm and native containers side by side in one pod, by both handlers.

use std::fs;

use crate::test_node::Node;

const POD: &str = include_str!("hybrid.yaml");
const TERMINATED: &str = "143";
/// containerd's shim, and ours.
const CLASSES: [&str; 2] = ["wamr-crun", "wamr"];

/// Everything that is asked of such a pod.
pub fn scenario(node: &Node) {
    for class in CLASSES {
        println!("class {class}");
        let pod = POD.replace("runtimeClassName: wamr-crun", &format!("runtimeClassName: {class}"));
        node.kubectl_with_input(&["apply", "-f", "-"], &pod);
        let waiting = field(node, "hybrid", "{.status.phase}", "Running");
        assert_eq!(waiting, "Running");
        a_volume_is_seen_by_both(node);
        let wait = ["wait", "--for=condition=Ready", "pod/hybrid", "--timeout=60s"];
        node.kubectl(&wait);
        a_service_answers(node);
        commands_and_logs(node);
        limits_are_in_force(node);
        exhausted_memory_is_told(node);
        all_end_within_the_grace_period(node);
        node.kubectl(&["delete", "pod/greedy", "service/hybrid", "--timeout=60s"]);
    }
}

/// Waits until the field is what is wanted, and returns it.
fn field(node: &Node, pod: &str, path: &str, want: &str) -> String {
    let path = format!("jsonpath={path}");
    node.eventually(&format!("{path} of {pod} is {want}"), || {
        let found = node.kubectl(&["get", "pod", pod, "-o", &path]);
        (found == want).then_some(found)
    })
}

/// The helper becomes ready by an exec probe on what it has written.
fn a_volume_is_seen_by_both(node: &Node) {
    let write = "echo from the helper > /both/note";
    exec(node, "helper", &["/bin/sh", "-c", write]);
    // The container's own module, once more, in its container.
    let seen = exec(node, "guest", &["/guest", "show", "/both/note"]);
    assert_eq!(seen, "from the helper\n");
}

fn exec(node: &Node, container: &str, program: &[&str]) -> String {
    let words = ["exec", "hybrid", "-c", container, "--"];
    node.kubectl(&words.iter().chain(program).copied().collect::<Vec<_>>())
}

/// The node has no kube-proxy: the API server reaches the Service's endpoints.
fn a_service_answers(node: &Node) {
    let path = "/api/v1/namespaces/default/services/hybrid:80/proxy/";
    let answer = node.eventually("the Service has an endpoint", || {
        let (code, text) = node.try_kubectl(&["get", "--raw", path], "");
        (code == 0).then_some(text)
    });
    assert_eq!(answer.trim(), "ok");
}

fn commands_and_logs(node: &Node) {
    for container in ["guest", "helper"] {
        assert_eq!(node.kubectl(&["logs", "hybrid", "-c", container]), "ready\n", "{container}");
        assert_eq!(exec(node, container, &["/bin/echo", "beside"]), "beside\n", "{container}");
        let words = ["exec", "-i", "hybrid", "-c", container, "--", "/guest", "repeat"];
        let (code, text) = node.try_kubectl(&words, "one\nend\n");
        assert_eq!(code, 9, "{container}: {text}");
        assert!(text.starts_with("pipe, got one\npipe, got end\n"), "{container}: {text}");
    }
    assert!(node.kubectl(&["logs", "hybrid", "-c", "server"]).contains("start_ns="));
    // The runner names itself after its module; no kernel executes one.
    let programs = node.process_names();
    assert!(programs.iter().any(|name| name == "http.wasm"), "{programs:?}");
}

fn limits_are_in_force(node: &Node) {
    let server = container_id(node, "server");
    assert_eq!(group_file(node, &server, "memory.max", "memory.limit_in_bytes"), "50331648");
    let quota = group_file(node, &server, "cpu.max", "cpu.cfs_quota_us");
    assert!(quota.starts_with("25000"), "{quota}");

    let guest = container_id(node, "guest");
    let patch = r#"{"spec":{"containers":[{"name":"guest","resources":
        {"limits":{"memory":"64Mi"},"requests":{"memory":"64Mi"}}}]}}"#;
    node.kubectl(&["patch", "pod", "hybrid", "--subresource=resize", "-p", patch]);
    node.eventually("the new limit is in force", || {
        let limit = group_file(node, &guest, "memory.max", "memory.limit_in_bytes");
        (limit == "67108864").then_some(())
    });
    assert_eq!(container_id(node, "guest"), guest, "not started anew");
}

fn container_id(node: &Node, container: &str) -> String {
    let path =
        format!("jsonpath={{.status.containerStatuses[?(@.name==\"{container}\")].containerID}}");
    let id = node.kubectl(&["get", "pod", "hybrid", "-o", &path]);
    id.rsplit('/').next().unwrap_or_default().to_owned()
}

fn group_file(node: &Node, id: &str, v2: &str, v1: &str) -> String {
    let script = format!(
        "cat $(find /sys/fs/cgroup -path '*{id}*/{v2}' -o -path '*{id}*/{v1}' | head -n 1)"
    );
    node.shell(&script).trim().to_owned()
}

fn exhausted_memory_is_told(node: &Node) {
    let reason = "{.status.containerStatuses[0].state.terminated.reason}";
    field(node, "greedy", reason, "OOMKilled");
}

/// SIGTERM was enough for all three: SIGKILL would have left 137.
fn all_end_within_the_grace_period(node: &Node) {
    let dir = tempfile::tempdir().expect("a directory for a log");
    let log = dir.path().join("watch");
    let codes = "jsonpath={.status.containerStatuses[*].state.terminated.exitCode}{\"\\n\"}";
    let words = ["get", "pod", "hybrid", "--watch", "-o", codes];
    let mut watch = node.kubectl_into(&words, fs::File::create(&log).expect("a log"));
    node.kubectl(&["delete", "pod", "hybrid", "--timeout=60s"]);
    let want = [TERMINATED; 3].join(" ");
    node.eventually("three containers ended by SIGTERM", || {
        let seen = fs::read_to_string(&log).unwrap_or_default();
        assert!(!seen.contains("137"), "killed: {seen}");
        seen.lines().any(|line| line == want).then_some(())
    });
    drop(watch.kill());
    drop(watch.wait());
}
