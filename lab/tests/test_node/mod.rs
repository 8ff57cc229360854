//! A node of the lab for one test. It goes with the test: also if that panics or is killed.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes that long unless it hangs; no limit of performance.
const PATIENCE: Duration = Duration::from_mins(2);
const LAB: &str = env!("CARGO_BIN_EXE_wamr-lab");

/// A node that is up. Dropping it takes it down.
pub struct Node {
    name: String,
    lab: Child,
    programs: PathBuf,
}

impl Node {
    /// A node with one workload's image, by `wamr-lab node up` with further arguments; `None`
    /// where this machine cannot have one.
    pub fn up(workload: &str, arguments: &[&str]) -> Option<Self> {
        let (image, programs) = (image()?, wamr_testing::resident()?);
        let workload = image.workloads.get(workload).expect("the node image has every workload");
        let name = format!("test-{}", std::process::id());
        // The node goes with the lab, and the lab with this thread.
        let mut lab = Command::new("setpriv");
        lab.args(["--pdeathsig", "INT", LAB, "--programs"]).arg(&programs);
        lab.args(["node", "up", "--name", &name]).args(arguments);
        let lab = lab.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut node = Self { name, lab: lab.spawn().expect("start wamr-lab"), programs };
        node.wait_until_up();
        node.import(&workload.archive);
        Some(node)
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

    /// Gives an OCI archive to containerd.
    pub fn import(&self, archive: &Path) {
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

    /// Exit status and both streams of kubectl.
    pub fn try_kubectl(&self, words: &[&str], input: &str) -> (i32, String) {
        answer(self.command("kubectl", words), input)
    }

    /// As [`Node::try_kubectl`], on a terminal.
    pub fn try_kubectl_on_terminal(&self, words: &[&str], input: &str) -> (i32, String) {
        let kubectl = self.command("kubectl", words);
        let all: Vec<_> =
            std::iter::once(kubectl.get_program()).chain(kubectl.get_args()).collect();
        let line = all.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]);
        answer(script, input)
    }

    /// Standard output of kubectl, which must succeed.
    pub fn kubectl(&self, words: &[&str]) -> String {
        self.kubectl_with_input(words, "")
    }

    /// As [`Node::kubectl`], with something on standard input.
    pub fn kubectl_with_input(&self, words: &[&str], input: &str) -> String {
        let output = run(self.command("kubectl", words), input);
        let events = || self.try_kubectl(&["get", "events"], "").1;
        assert!(output.status.success(), "kubectl {words:?}: {output:?}\n{}", events());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts kubectl with its output in a file.
    pub fn kubectl_into(&self, words: &[&str], file: File) -> Child {
        let mut command = self.command("kubectl", words);
        command.stdin(Stdio::null()).stdout(file).spawn().expect("start kubectl")
    }

    /// Exit status and both streams of a shell in the node.
    pub fn try_shell(&self, script: &str) -> (i32, String) {
        answer(self.command("exec", &["sh", "-c", script]), "")
    }

    /// A shell in the node.
    pub fn shell(&self, script: &str) -> String {
        let output = self.command("exec", &["sh", "-c", script]).output().expect("run a shell");
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the node's processes call themselves. One that ends while they are read is left out.
    pub fn process_names(&self) -> Vec<String> {
        let text = self.shell("cat /proc/[0-9]*/comm 2>/dev/null || true");
        text.lines().map(str::to_owned).collect()
    }

    /// Asks until there is an answer.
    pub fn eventually<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let pods = || self.try_kubectl(&["describe", "pods"], "").1;
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", pods());
            sleep(Duration::from_millis(300));
        }
    }
}

/// Runs a command with something on standard input.
fn run(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start a command");
    let mut stdin = child.stdin.take().expect("a pipe");
    // The command may have ended without reading.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("wait for a command")
}

/// As [`run`]: exit status and both streams.
fn answer(command: Command, input: &str) -> (i32, String) {
    let output = run(command, input);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

impl Drop for Node {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.lab.id() as i32), Signal::SIGINT).unwrap_or_default();
        drop(self.lab.wait());
    }
}

/// The node image of this machine; `None` without root, or where it is not built.
pub fn image() -> Option<wamr_image::NodeImage> {
    if !wamr_testing::is_root() {
        return None;
    }
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let text = wamr_testing::text(&path, "build it with wamr-lab image build")?;
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}
