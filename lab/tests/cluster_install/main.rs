//! `wamr-lab cluster` on a cluster of two workers that lack the runtime: install, a Wasm pod, a
//! sweep, uninstall, and the workers' files are what they were.
//!
//! Tier: full

mod sweep;
#[path = "../test_node/mod.rs"]
mod test_node;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

const LAB: &str = env!("CARGO_BIN_EXE_wamr-lab");
/// Nothing here takes that long unless it hangs; no limit of performance.
const PATIENCE: Duration = Duration::from_mins(2);
const IMAGE: &str = "localhost/wamr-lab/microservice-wasm:1";

/// A cluster whose nodes have runc and nothing else.
struct Cluster {
    name: String,
    programs: PathBuf,
    dir: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.lab(&["node", "down", "--name", &self.name]));
    }
}

impl Cluster {
    /// `None` where this machine cannot have one.
    fn up() -> Option<Self> {
        test_node::image()?;
        let programs = wamr_testing::resident()?;
        let dir = tempfile::tempdir().expect("a directory for the test");
        let table = "[runc-native]\ntitle = \"runC\"\nkind = \"oci\"\nlanguage = \"native\"\n\
            binary = \"/usr/local/bin/runc\"\nhandler = \"runc\"\nworkloads = []\n\
            evidence = { exe = \"microservice\" }\n";
        std::fs::write(dir.path().join("runtimes.toml"), table).expect("write the table");
        let name = format!("install-{}", std::process::id());
        let cluster = Self { name, programs, dir };
        cluster.must(&["node", "up", "--stay", "--workers", "2", "--name", &cluster.name]);
        Some(cluster)
    }

    fn lab(&self, arguments: &[&str]) -> Output {
        let table = self.dir.path().join("runtimes.toml").display().to_string();
        self.lab_of_all(&[["--runtimes", &table].as_slice(), arguments].concat())
    }

    /// With the built-in table of runtimes.
    fn lab_of_all(&self, arguments: &[&str]) -> Output {
        Command::new(LAB)
            .arg("--programs")
            .arg(&self.programs)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("start wamr-lab")
    }

    /// Standard output of a command that must succeed.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.lab(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out
    }

    /// All output of a command that must fail.
    fn must_fail(&self, arguments: &[&str]) -> String {
        let output = self.lab(arguments);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} succeeded:\n{all}");
        all
    }

    fn cluster(&self, verb: &str) -> [String; 4] {
        ["cluster".into(), verb.into(), "--node".into(), self.name.clone()]
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        let begin = ["node", "kubectl", "--name", &self.name, "--"];
        self.must(&begin.iter().chain(arguments).copied().collect::<Vec<_>>())
    }

    /// containerd's client on the images of a worker.
    fn ctr(&self, worker: &str, arguments: &[&str]) -> String {
        let begin = ["node", "exec", "--name", &self.name, "--node", worker, "--"];
        let ctr = ["ctr", "--namespace", "k8s.io", "images"];
        self.must(&begin.iter().chain(&ctr).chain(arguments).copied().collect::<Vec<_>>())
    }

    /// Path, kind, mode, target and, of plain files, size of all that is on the worker's disk. What
    /// containerd and the kubelet keep of any pod is left out.
    fn files(&self, worker: &str) -> BTreeSet<String> {
        let left_out = ["/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log"];
        let mut argv = vec!["node", "exec", "--name", &self.name, "--node", worker, "--"];
        argv.extend(["find", "/", "-xdev", "("]);
        for (index, path) in left_out.iter().enumerate() {
            argv.extend((index > 0).then_some("-o"));
            argv.extend(["-path", path]);
        }
        argv.extend([")", "-prune", "-o", "-type", "f", "-printf", "%p f %m %s\n"]);
        argv.extend(["-o", "-printf", "%p %y %m %l\n"]);
        self.must(&argv).lines().map(str::to_owned).collect()
    }

    fn create(&self, object: &serde_json::Value) {
        let mut kubectl = Command::new(LAB)
            .args(["node", "kubectl", "--name", &self.name, "--", "create", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("start kubectl");
        let mut stdin = kubectl.stdin.take().expect("a pipe");
        stdin.write_all(object.to_string().as_bytes()).expect("write to kubectl");
        drop(stdin);
        assert!(kubectl.wait().expect("wait for kubectl").success());
    }
}

#[test]
fn the_runtime_comes_to_a_cluster_and_goes_without_a_trace() {
    let Some(cluster) = Cluster::up() else { return };
    let yes = |verb: &str| [cluster.cluster(verb).as_slice(), &["--yes".to_owned()]].concat();
    let words = |words: &[String]| -> Vec<String> { words.to_vec() };
    let run =
        |argv: Vec<String>| cluster.must(&argv.iter().map(String::as_str).collect::<Vec<_>>());
    let fail =
        |argv: Vec<String>| cluster.must_fail(&argv.iter().map(String::as_str).collect::<Vec<_>>());
    let workers = ["worker1", "worker2"];
    let before = workers.map(|worker| cluster.files(worker));

    let plan = fail(words(&cluster.cluster("install")));
    assert!(plan.contains("restart containerd") && plan.contains("nothing was done"), "{plan}");
    assert_eq!(workers.map(|worker| cluster.files(worker)), before, "a plan changes nothing");

    run(yes("install"));
    let new = |worker: usize| -> Vec<String> {
        let now = cluster.files(workers[worker]);
        let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        now.difference(&before[worker]).map(name).collect()
    };
    for part in ["/usr/local/bin/wamr-crun", "/etc/containerd/conf.d/50-wamr-crun.toml"] {
        assert!(new(0).iter().any(|path| path == part), "{part} in {:?}", new(0));
    }
    let status = run(words(&cluster.cluster("status")));
    assert_eq!(status.matches("wamr-crun is installed").count(), 2, "{status}");
    run(yes("install"));

    wasm_pods(&cluster);
    let refused = fail(yes("uninstall"));
    assert!(refused.contains("2 pods use it"), "{refused}");
    cluster.kubectl(&["delete", "pods", "w1", "w2"]);
    sweep::ten_pods_are_measured_as_one(&cluster);

    run(yes("uninstall"));
    for (worker, before) in workers.iter().zip(&before) {
        let after = cluster.files(worker);
        let left: Vec<&String> = after.symmetric_difference(before).collect();
        assert!(left.is_empty(), "{worker} has changed: {left:#?}");
    }
    let classes = cluster.kubectl(&["get", "runtimeclasses,namespaces", "-o", "name"]);
    assert!(!classes.contains("wamr"), "{classes}");
    let labels = cluster.kubectl(&["get", "nodes", "--show-labels"]);
    assert!(!labels.contains("wamr-lab/runtime"), "{labels}");
}

/// A Wasm pod on each worker, each by another RuntimeClass; its log has the stamp of its first
/// instruction.
fn wasm_pods(cluster: &Cluster) {
    for (index, class) in [(1, "wamr-crun"), (2, "wamr")] {
        cluster.create(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": format!("w{index}") },
            "spec": {
                "runtimeClassName": class,
                "nodeSelector": {
                    "kubernetes.io/hostname": format!("{}-worker{index}", cluster.name)
                },
                "terminationGracePeriodSeconds": 1,
                "containers": [{ "name": "c", "image": IMAGE, "imagePullPolicy": "Never" }],
            },
        }));
    }
    let phases = ["get", "pods", "w1", "w2", "-o", "jsonpath={.items[*].status.phase}"];
    let begun = Instant::now();
    while cluster.kubectl(&phases) != "Running Running" {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.kubectl(&["describe", "pods"]));
        sleep(Duration::from_millis(500));
    }
    let log = cluster.kubectl(&["logs", "w1"]);
    assert!(log.contains("start_ns="), "{log}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
