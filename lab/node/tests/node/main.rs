//! Real nodes up and down, alone and with workers, and after the death of their owner.
//!
//! The binary has a `main` of its own, since it must be able to become keeper and init of a node.
//!
//! Tier: full

mod alone;
mod left;
mod workers;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use wamr_image::NodeImage;
use wamr_node::NativeNode;
use wamr_progress::Progress;

/// First argument of the process that is killed while it owns a node; the second is the node.
const OWNER: &str = "own-a-node";
/// Nothing here takes that long unless it hangs; no limit of performance.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() {
    wamr_node::entry::enter_if_asked();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [OWNER, name] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return own_a_node(name);
    }
    let trial = |name: &str, test: fn(NodeImage)| {
        Trial::test(name, move || {
            if let Some(image) = node_image() {
                test(image);
            }
            Ok(())
        })
    };
    let trials = vec![
        trial("a_node_runs_a_pod_and_leaves_nothing", alone::runs_a_pod),
        trial("a_node_ends_with_its_owner", alone::ends_with_its_owner),
        trial("a_dead_daemon_is_told", alone::tells_of_a_dead_daemon),
        trial("a_wrong_configuration_leaves_nothing", alone::refuses_early),
        trial("pods_of_two_workers_reach_each_other", workers::reach_each_other),
        trial("a_cluster_ends_with_its_owner", workers::end_with_their_owner),
    ];
    // Two nodes at once would take each other's memory and names.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit();
}

/// The node image of this machine; `None` without root, or where it is not built.
fn node_image() -> Option<NodeImage> {
    if !wamr_testing::is_root() {
        return None;
    }
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let text = wamr_testing::text(&path, "build it with wamr-lab image build")?;
    Some(serde_json::from_str(&text).expect("the node image's description"))
}

/// Another process that owns a node, up to its first line of output, which says what it has.
fn owner(name: &str) -> (Child, String) {
    let mut owner = Command::new("/proc/self/exe")
        .args([OWNER, name])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the owner");
    let mut line = String::new();
    let mut output = BufReader::new(owner.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("read from the owner");
    (owner, line.trim().to_owned())
}

/// What the owner does until it is killed.
fn own_a_node(name: &str) {
    let image = node_image().expect("the test that started this has found it");
    let config = match name {
        workers::NAME => workers::config(image),
        _ => alone::config(image),
    };
    let node = NativeNode::up(&config, &Progress::new()).expect("node up");
    println!("{} {}", node.init_pid(), node.workers().len());
    std::thread::sleep(Duration::from_mins(10));
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
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
