//! Pods of containerd-shim-wamr-crun-v1: namespaces without a pause process, and what happens when
//! the shim or containerd ends unexpectedly.

use crate::test_node::Node;

const PODS: &str = include_str!("pauseless.yaml");

/// Everything that is asked of such pods.
pub fn scenario(node: &Node) {
    node.kubectl_with_input(&["apply", "-f", "-"], PODS);
    for pod in ["plain", "sharing", "hosted"] {
        node.kubectl(&["wait", "--for=condition=Ready", &format!("pod/{pod}"), "--timeout=60s"]);
    }
    namespaces_are_the_pods(node);
    processes_are_shared_where_that_is_wanted(node);
    the_host_is_seen_where_that_is_wanted(node);
    a_terminal_is_there(node);
    signals_without_a_name_are_told(node);
    a_pod_ends_with_its_pause_process(node);
    the_program_may_be_replaced(node);
    containerd_may_be_killed(node);
    the_shim_may_be_killed(node);
    node.kubectl(&["delete", "pod", "--all", "--timeout=90s"]);
    nothing_is_left(node);
}

fn exec(node: &Node, pod: &str, container: &str, script: &str) -> String {
    let words = ["exec", pod, "-c", container, "--", "/bin/sh", "-c", script];
    node.kubectl(&words).trim().to_owned()
}

fn namespace(node: &Node, pod: &str, container: &str, kind: &str) -> String {
    exec(node, pod, container, &format!("/bin/busybox readlink /proc/self/ns/{kind}"))
}

fn namespaces_are_the_pods(node: &Node) {
    for kind in ["ipc", "uts", "net", "pid", "mnt"] {
        let host = node.shell(&format!("readlink /proc/self/ns/{kind}")).trim().to_owned();
        let [guest, helper] = ["guest", "helper"].map(|name| namespace(node, "plain", name, kind));
        assert_ne!(guest, host, "{kind}: the node's");
        let shared = ["ipc", "uts", "net"].contains(&kind);
        assert_eq!(guest == helper, shared, "{kind}: {guest}, {helper}");
    }
    assert_eq!(exec(node, "plain", "helper", "/bin/busybox hostname"), "named");
    let sysctl = "/bin/busybox cat /proc/sys/kernel/shm_rmid_forced";
    assert_eq!(exec(node, "plain", "helper", sysctl), "1");
    assert_eq!(node.shell("cat /proc/sys/kernel/shm_rmid_forced").trim(), "0", "the node's own");
}

/// There a pause process is made after all: it is PID 1.
fn processes_are_shared_where_that_is_wanted(node: &Node) {
    let seen = exec(node, "sharing", "helper", "/bin/busybox cat /proc/1/comm");
    assert_eq!(seen, "pause");
    let [guest, helper] = ["guest", "helper"].map(|name| namespace(node, "sharing", name, "pid"));
    assert_eq!(guest, helper);
    let names = node.process_names();
    let pauses = names.iter().filter(|name| *name == "pause");
    assert_eq!(pauses.count(), 1, "only that pod has one");
}

fn the_host_is_seen_where_that_is_wanted(node: &Node) {
    for kind in ["ipc", "net", "pid"] {
        let host = node.shell(&format!("readlink /proc/self/ns/{kind}"));
        assert_eq!(namespace(node, "hosted", "helper", kind), host.trim(), "{kind}");
    }
}

fn a_terminal_is_there(node: &Node) {
    // A terminal on this side is not needed for one on the other.
    let words = ["exec", "-i", "-t", "plain", "-c", "helper", "--", "/guest", "repeat"];
    let (code, text) = node.try_kubectl_on_terminal(&words, "one\nend\n");
    assert_eq!(code, 9, "{text}");
    assert!(text.contains("terminal, got one"), "{text}");
}

fn signals_without_a_name_are_told(node: &Node) {
    let words = ["exec", "plain", "-c", "helper", "--", "/bin/sh", "-c", "kill -34 $$"];
    let (code, text) = node.try_kubectl(&words, "");
    assert_eq!(code, 128 + 34, "{text}");
}

/// Any process that may send it a signal can end it; its number may be another's afterwards.
fn a_pod_ends_with_its_pause_process(node: &Node) {
    let path = "jsonpath={.status.containerStatuses[*].containerID}";
    let old = node.kubectl(&["get", "pod", "sharing", "-o", path]);
    node.shell("kill -9 $(pgrep -x pause)");
    node.eventually("the pod is there anew", || {
        let now = node.kubectl(&["get", "pod", "sharing", "-o", path]);
        let anew = now.split(' ').all(|id| !id.is_empty() && !old.contains(id));
        let words =
            ["exec", "sharing", "-c", "helper", "--", "/bin/busybox", "cat", "/proc/1/comm"];
        (anew && node.try_kubectl(&words, "").1 == "pause\n").then_some(())
    });
}

fn restarts(node: &Node) -> String {
    let path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    node.kubectl(&["get", "pods", "-o", path])
}

fn containers(node: &Node) -> String {
    let path = "jsonpath={.items[*].status.containerStatuses[*].containerID}";
    node.kubectl(&["get", "pods", "-o", path])
}

/// Process ids of the shims.
pub fn shims(node: &Node) -> Vec<u32> {
    let script = "for d in /proc/[0-9]*; do case $(readlink $d/exe) in \
                  */containerd-shim-wamr-crun-v1) echo ${d#/proc/};; esac; done";
    node.shell(script).lines().filter_map(|line| line.parse().ok()).collect()
}

/// As an upgrade of the package does: nothing is started anew, and containerd does not notice.
fn the_program_may_be_replaced(node: &Node) {
    let (before, old) = (shims(node), restarts(node));
    let stays = ["exec", "plain", "-c", "guest", "--", "/bin/echo", "still"];
    for _ in 0..3 {
        let said = node.shell(&format!("$(readlink /proc/{}/exe) upgrade", before[0]));
        assert!(said.contains(&format!("process {} was ", before[0])), "{said}");
        assert_eq!(node.try_kubectl(&stays, "").1, "still\n");
    }
    assert_eq!((shims(node), restarts(node)), (before, old));
}

/// Its pods run on, and it finds them again.
fn containerd_may_be_killed(node: &Node) {
    let before = restarts(node);
    let old = node.shell("pgrep -x containerd").trim().to_owned();
    // Stopped, it does not hear SIGTERM, so PID 1 of the node kills it.
    let file = wamr_node::RESTART;
    node.shell(&format!("kill -STOP {old}; echo containerd > {file}; kill -HUP 1"));
    node.eventually("containerd answers again", || {
        let now = node.try_shell("pgrep -x containerd && ctr version").1;
        (now.contains("Server") && !now.starts_with(&old)).then_some(())
    });
    node.eventually("a command runs in an old container", || {
        let words = ["exec", "plain", "-c", "guest", "--", "/bin/echo", "still"];
        (node.try_kubectl(&words, "").1 == "still\n").then_some(())
    });
    assert_eq!(restarts(node), before, "nothing was started anew");
}

/// Its containers end with it and are started anew, by another process.
fn the_shim_may_be_killed(node: &Node) {
    let before = shims(node);
    assert_eq!(before.len(), 1, "{before:?}");
    let old = containers(node);
    node.shell(&format!("kill -9 {}", before[0]));
    node.eventually("all pods run again", || {
        let path = "jsonpath={.items[*].status.containerStatuses[*].ready}";
        let all = node.kubectl(&["get", "pods", "-o", path]) == "true true true true true";
        let now = containers(node);
        let anew = now.split(' ').all(|id| !old.contains(id));
        (all && anew && shims(node).len() == 1).then_some(())
    });
    // What the CRI says of a container whose shim has gone; containerd's own events have 137.
    let path = "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.exitCode}";
    assert_eq!(node.kubectl(&["get", "pods", "-o", path]), "255 255 255 255 255");
    // Those of the pods in the node's namespaces, too.
    let names = node.process_names();
    let guests = names.iter().filter(|name| name.starts_with("guest"));
    assert_eq!(guests.count(), 5, "processes of before are left");
}

/// Neither processes, files nor mounts of the shims.
pub fn nothing_is_left(node: &Node) {
    node.eventually("the shims have ended", || shims(node).is_empty().then_some(()));
    // Filters are kept for the next container.
    let left = node.shell(
        "find /run/wamr-shim -type f ! -name lock ! -path '*/@seccomp/*'; \
         ls /run/wamr-shim/*/k8s.io",
    );
    let left = left.lines().filter(|line| !["lock", "containers"].contains(line));
    assert_eq!(left.count(), 0, "files are left");
    let mounts = node.shell("grep -c io.containerd.runtime.v2.task /proc/self/mountinfo || true");
    assert_eq!(mounts.trim(), "0", "mounts are left");
}
