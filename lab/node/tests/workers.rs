//! A control plane with two workers, up and down. Needs root and a finished node image in the
//! cache; without them it says `skipped: …` and why.
//!
//! It has a `main` of its own: the test binary must be able to become keeper and init of a node.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use wamr_image::{NodeImage, WorkloadImage};
use wamr_node::runtimes::parse_table;
use wamr_node::{NativeNode, NodeConfig};
use wamr_progress::Progress;

const NAME: &str = "workers-test";
/// First argument of the process that is killed while it owns a cluster.
const OWNER: &str = "own-a-cluster";
const LIMIT: Duration = Duration::from_mins(1);

fn main() {
    wamr_node::init::enter_if_asked();
    let image = match finished_image() {
        Ok(image) => image,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    if std::env::args().nth(1).is_none() {
        NativeNode::clean(NAME).expect("clean what an earlier run left");
    }
    let workload = image.workloads["http-python"].clone();
    let mut runtimes = parse_table(include_str!("../../runtimes.toml")).expect("the shipped table");
    runtimes.retain(|name, _| name == "runc-python");
    let mut config = NodeConfig::new(NAME, image, runtimes, PathBuf::from("/nonexistent"));
    config.keep_workloads(&|name| name == "http-python");
    config.workers = 2;
    if std::env::args().nth(1).as_deref() == Some(OWNER) {
        let node = NativeNode::up(&config, &Progress::new()).expect("node up");
        println!("{}", node.workers().len());
        std::thread::sleep(Duration::from_mins(10));
        return;
    }
    ends_with_its_owner();
    println!("test pods of two workers reach each other, and nothing is left …");
    let node = NativeNode::up(&config, &Progress::new()).expect("node up");
    roles(&node);
    traffic(&node, &workload);
    metrics(&node);
    let again = NativeNode::attach(NAME).expect("attach");
    assert_eq!(again.workers().len(), 2);
    drop(again);
    node.down(&Progress::new()).expect("down");
    nothing_is_left();
    println!("test pods of two workers reach each other, and nothing is left … ok");
}

/// SIGKILL to the process that brought the cluster up: the keepers of all nodes clean up.
fn ends_with_its_owner() {
    println!("test a cluster ends with its owner …");
    let mut owner = Command::new("/proc/self/exe")
        .arg(OWNER)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the owner");
    let mut line = String::new();
    let mut output = BufReader::new(owner.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("read from the owner");
    assert_eq!(line.trim(), "2");
    owner.kill().expect("kill the owner");
    owner.wait().expect("wait for the owner");
    let gone = |name: &String| !Path::new("/run/wamr-lab").join(name).exists();
    until("all keepers are done", || names().iter().all(gone));
    nothing_is_left();
    println!("test a cluster ends with its owner … ok");
}

fn names() -> [String; 3] {
    [NAME.to_owned(), format!("{NAME}-worker1"), format!("{NAME}-worker2")]
}

fn finished_image() -> Result<NodeImage, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let image: NodeImage =
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let there = image.rootfs.is_dir();
    if there { Ok(image) } else { Err(format!("no {}", image.rootfs.display())) }
}

/// Pods go to workers only, and every node has addresses of its own.
fn roles(node: &NativeNode) {
    let shown = "-o=jsonpath={range .items[*]}{.metadata.name} {.spec.taints[*].effect} \
        {.spec.podCIDR}{\"\\n\"}{end}";
    let nodes = node.output(&["kubectl", "get", "nodes", shown]).expect("get nodes");
    for line in [
        format!("{NAME} NoSchedule "),
        format!("{NAME}-worker1  10.88.8.0/21"),
        format!("{NAME}-worker2  10.88.16.0/21"),
    ] {
        assert!(nodes.lines().any(|have| have == line), "{line:?} in {nodes}");
    }
}

/// A pod of each worker: one asks the other, and the API server reaches both by their kubelets.
fn traffic(node: &NativeNode, workload: &WorkloadImage) {
    for index in [1, 2] {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": format!("p{index}") },
            "spec": {
                "nodeName": format!("{NAME}-worker{index}"),
                "runtimeClassName": "runc",
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "c", "image": workload.reference, "imagePullPolicy": "Never"
                }],
            },
        });
        create(node, &pod.to_string());
    }
    let get = |path: &str| node.output(&["kubectl", "get", "pods", "p1", "p2", "-o", path]);
    let running = "jsonpath={.items[*].status.phase}";
    until("pods run", || get(running).expect("get pods") == "Running Running");
    let address = get("jsonpath={.items[0].status.podIP}").expect("the address of p1");
    assert!(address.starts_with("10.88.8."), "{address}");
    // From the second pod to the first: through both bridges and the wire.
    let python = workload.program.path.as_str();
    let ask = format!("import socket; print(socket.create_connection(('{address}', 8080), 5))");
    let asked = node.output(&["kubectl", "exec", "p2", "--", python, "-c", &ask]);
    let asked = asked.expect("p2 reaches p1");
    assert!(asked.contains("laddr=('10.88.16."), "{asked}");
    // From a pod to the API server.
    let ask = "import socket; print(socket.create_connection(('10.88.0.1', 6443), 5))";
    node.output(&["kubectl", "exec", "p1", "--", python, "-c", ask]).expect("p1 reaches the API");
    let log = node.output(&["kubectl", "logs", "p1"]).expect("logs");
    assert!(log.contains("start_ns="), "{log}");
    let own = node.workers()[0].output(&["kubectl", "get", "pods", "--no-headers"]);
    assert!(own.expect("kubectl inside a worker").contains("p1"));
}

/// metrics-server scrapes every node; the second scrape gives the first figure.
fn metrics(node: &NativeNode) {
    until("metrics-server knows all nodes", || {
        let top = node.output(&["kubectl", "top", "nodes", "--no-headers"]).unwrap_or_default();
        top.lines().filter(|line| line.contains("Mi")).count() == 3
    });
}

fn create(node: &NativeNode, object: &str) {
    let mut kubectl = node
        .command(&["kubectl", "create", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let mut stdin = kubectl.stdin.take().expect("a pipe");
    stdin.write_all(object.as_bytes()).expect("write to kubectl");
    drop(stdin);
    assert!(kubectl.wait().expect("wait for kubectl").success());
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn nothing_is_left() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    assert!(!mounts.contains(NAME), "a mount is left:\n{mounts}");
    let hierarchies = mounts.lines().filter(|line| line.contains(" - cgroup"));
    let hierarchies: Vec<&str> = hierarchies.filter_map(|line| line.split(' ').nth(4)).collect();
    for name in names() {
        for dir in ["/var/lib/wamr-lab/nodes", "/run/wamr-lab"] {
            assert!(!Path::new(dir).join(&name).exists(), "{dir}/{name} is left");
        }
        for at in &hierarchies {
            let group = Path::new(at).join(format!("wamr-lab-{name}"));
            assert!(!group.exists(), "{} is left", group.display());
        }
    }
}
