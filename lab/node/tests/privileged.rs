//! A real node up and down, twice, and after the death of its owner. Needs root and a finished node
//! image in the cache; without them it says `skipped: …` and why.
//!
//! It has a `main` of its own: the test binary must be able to become keeper and init of a node.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wamr_image::NodeImage;
use wamr_node::runtimes::{Origin, RuntimeTable, origin, parse_table};
use wamr_node::{NativeNode, NodeConfig};
use wamr_progress::Progress;

const NAME: &str = "privileged-test";
/// First argument of the process that is killed while it owns a node.
const OWNER: &str = "own-a-node";
const POD_LIMIT: Duration = Duration::from_mins(1);

fn main() {
    wamr_node::init::enter_if_asked();
    let image = match finished_image() {
        Ok(image) => image,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let config = NodeConfig::new(NAME, image, native_runtimes(), PathBuf::from("/nonexistent"));
    if std::env::args().nth(1).as_deref() == Some(OWNER) {
        return own_a_node(&config);
    }
    NativeNode::clean(NAME).expect("clean what an earlier run left");
    run("a node runs a pod and leaves nothing", || runs_a_pod(&config));
    run("a node ends with its owner", || ends_with_its_owner(&config));
    run("a dead daemon is told", || tells_of_a_dead_daemon(&config));
    run("a wrong configuration leaves nothing", || refuses_early(&config));
}

fn run(title: &str, test: impl FnOnce()) {
    let begun = Instant::now();
    println!("test {title} …");
    test();
    println!("test {title} … ok ({:.1} s)", begun.elapsed().as_secs_f64());
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

/// The rows that need nothing but the node image.
fn native_runtimes() -> RuntimeTable {
    let mut table = parse_table(include_str!("../../runtimes.toml")).expect("the shipped table");
    table.retain(|_, row| {
        let in_image = |program: &String| matches!(origin(program), Origin::Image(_));
        row.absent.is_none() && row.programs().all(in_image)
    });
    table
}

fn runs_a_pod(config: &NodeConfig) {
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
    until(|| node.output(&phase).expect("get pod") == "Running");

    let attached = NativeNode::attach(NAME).expect("attach");
    let status = attached.exec(&["sh", "-c", "exit 7"]).expect("exec");
    assert_eq!(status.code(), Some(7));
    drop(attached);
    node.check().expect("all daemons run after an attached handle was dropped");

    node.down(&Progress::new()).expect("down");
    nothing_is_left(&namespaces);
    assert_eq!(network_of_the_host(), network_before);
    NativeNode::clean(NAME).expect("down a second time");
}

fn ends_with_its_owner(config: &NodeConfig) {
    let mut owner = Command::new("/proc/self/exe")
        .arg(OWNER)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the owner");
    let mut line = String::new();
    let mut output = BufReader::new(owner.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("read from the owner");
    let init_pid = line.trim().parse().expect("the owner prints the PID of init");
    let namespaces = namespaces_of(init_pid);
    // SIGKILL: no destructor runs.
    owner.kill().expect("kill the owner");
    owner.wait().expect("wait for the owner");
    until(|| !Path::new("/proc").join(init_pid.to_string()).exists());
    NativeNode::clean(&config.name).expect("clean");
    nothing_is_left(&namespaces);
}

fn own_a_node(config: &NodeConfig) {
    let node = NativeNode::up(config, &Progress::new()).expect("node up");
    println!("{}", node.init_pid());
    std::thread::sleep(Duration::from_mins(10));
}

fn tells_of_a_dead_daemon(config: &NodeConfig) {
    let node = NativeNode::up(config, &Progress::new()).expect("node up");
    let namespaces = namespaces_of(node.init_pid());
    node.output(&["sh", "-c", "kill -KILL $(pidof etcd)"]).expect("kill etcd");
    let mut told = String::new();
    until(|| match node.check() {
        Ok(()) => false,
        Err(error) => {
            told = error.to_string();
            true
        }
    });
    assert!(told.contains("etcd ended: killed by SIGKILL"), "{told}");
    assert!(told.contains("the end of its log"), "{told}");
    drop(node);
    nothing_is_left(&namespaces);
}

fn refuses_early(config: &NodeConfig) {
    let mut wrong = config.clone();
    wrong.image.workloads.remove("pause");
    let error = NativeNode::up(&wrong, &Progress::new()).expect_err("no pause image");
    assert!(error.to_string().contains("no pause image"), "{error}");
    nothing_is_left(&BTreeSet::new());
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

fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < POD_LIMIT, "waited {POD_LIMIT:?} in vain");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// PID, mount, network, … namespaces of a process, `net:[4026531840]`.
fn namespaces_of(pid: u32) -> BTreeSet<String> {
    ["pid", "mnt", "net", "uts", "ipc", "cgroup"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// Interfaces and routes of the host.
fn network_of_the_host() -> (BTreeSet<String>, String) {
    let interfaces = fs::read_dir("/sys/class/net").expect("list interfaces");
    let names = interfaces.map(|entry| entry.expect("an interface").file_name());
    let routes = fs::read_to_string("/proc/net/route").expect("read the routes");
    (names.map(|name| name.to_string_lossy().into_owned()).collect(), routes)
}

fn nothing_is_left(namespaces: &BTreeSet<String>) {
    for dir in ["/var/lib/wamr-lab/nodes", "/run/wamr-lab"] {
        assert!(!Path::new(dir).join(NAME).exists(), "{dir}/{NAME} is left");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    assert!(!mounts.contains(NAME), "a mount is left:\n{mounts}");
    let hierarchies = mounts.lines().filter(|line| line.contains(" - cgroup"));
    for at in hierarchies.filter_map(|line| line.split(' ').nth(4)) {
        let group = Path::new(at).join(format!("wamr-lab-{NAME}"));
        assert!(!group.exists(), "{} is left", group.display());
    }
    // This process shares no namespace with the node, so one that does is left over from it.
    let own = namespaces_of(std::process::id());
    for entry in fs::read_dir("/proc").expect("list /proc").filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let shared: Vec<String> = namespaces_of(pid)
            .intersection(namespaces)
            .filter(|n| !own.contains(*n))
            .cloned()
            .collect();
        assert!(shared.is_empty(), "PID {pid} is left in {shared:?}");
    }
}
