//! A node of the lab whose containerd, kubelet and network are configured by given files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LAB: &str = env!("CARGO_BIN_EXE_wamr-lab");
const WORKLOAD: &str = "microservice-wasm";

/// A node that is up. Dropping it takes it down.
pub struct Node {
    name: String,
    lab: Child,
    programs: PathBuf,
}

impl Node {
    /// `None`, with a line that says why, if this machine cannot run `test`.
    pub fn up(test: &str, config: &Path) -> Option<Self> {
        match Self::try_up(config) {
            Ok(node) => Some(node),
            Err(reason) => {
                println!("skipped: {test}: {reason}");
                None
            }
        }
    }

    fn try_up(config: &Path) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("root is needed".to_owned());
        }
        let description = wamr_image::description_path(&wamr_image::default_cache());
        let text = fs::read_to_string(description)
            .map_err(|_| "the node image is not built: wamr-lab image build".to_owned())?;
        let image: wamr_image::NodeImage =
            serde_json::from_str(&text).map_err(|error| format!("the node image: {error}"))?;
        let workload =
            image.workloads.get(WORKLOAD).ok_or(format!("the node image has no {WORKLOAD}"))?;
        let programs = programs_dir();
        for name in ["wamr-crun", "wamr-runner"] {
            if !programs.join(name).is_file() {
                return Err(format!("{} has no {name}: make build", programs.display()));
            }
        }
        let name = format!("rendered-{}", std::process::id());
        // The node goes with the lab, and the lab with this thread.
        let mut lab = Command::new("setpriv");
        lab.args(["--pdeathsig", "INT", LAB, "--programs"]).arg(&programs);
        lab.args(["node", "up", "--name", &name, "--config-from"]).arg(config);
        let lab = lab.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut node = Self { name, lab: lab.spawn().expect("start wamr-lab"), programs };
        node.wait_until_up();
        node.import(&workload.archive);
        Ok(node)
    }

    fn wait_until_up(&mut self) {
        let stdout = self.lab.stdout.take().expect("a pipe");
        let up = BufReader::new(stdout).lines().map_while(Result::ok).any(|l| l.contains("is up"));
        if !up {
            let mut said = String::new();
            let mut stderr = self.lab.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut said).unwrap_or(0);
            panic!("wamr-lab node up: {said}");
        }
    }

    fn import(&self, archive: &Path) {
        let file = File::open(archive).expect("open an image");
        let words = ["ctr", "-n", "k8s.io", "images", "import", "-"];
        let status = self.command("exec", &words).stdin(file).output().expect("import an image");
        assert!(status.status.success(), "{}: {status:?}", archive.display());
    }

    fn command(&self, act: &str, words: &[&str]) -> Command {
        let mut command = Command::new(LAB);
        command.arg("--programs").arg(&self.programs);
        command.args(["node", act, "--name", &self.name, "--"]).args(words);
        command
    }

    /// kubectl, which must succeed.
    pub fn kubectl(&self, words: &[&str]) -> String {
        self.kubectl_with_input(words, "")
    }

    /// As [`Node::kubectl`], with something on standard input.
    pub fn kubectl_with_input(&self, words: &[&str], input: &str) -> String {
        let (ok, text) = self.try_kubectl(words, input);
        if ok {
            return text;
        }
        let events = self.try_kubectl(&["get", "events"], "").1;
        panic!("kubectl {words:?}: {text}\n{events}");
    }

    fn try_kubectl(&self, words: &[&str], input: &str) -> (bool, String) {
        let mut child = self
            .command("kubectl", words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        let mut stdin = child.stdin.take().expect("a pipe");
        // kubectl may have ended without reading.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("wait for kubectl");
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// A shell in the node.
    pub fn shell(&self, script: &str) -> String {
        let output = self.command("exec", &["sh", "-c", script]).output().expect("run a shell");
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.lab.id() as i32), Signal::SIGINT).unwrap_or_default();
        drop(self.lab.wait());
    }
}

/// Where the programs under test are: beside `WAMR_TEST_RUNTIME`, else `dist/bin`.
fn programs_dir() -> PathBuf {
    let runtime = std::env::var_os("WAMR_TEST_RUNTIME").map(PathBuf::from);
    let dir = runtime.as_deref().and_then(Path::parent).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/bin"),
        Path::to_path_buf,
    );
    fs::canonicalize(&dir).unwrap_or(dir)
}
