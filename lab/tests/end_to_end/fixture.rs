//! One lab at a time, in a directory of its own.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::test_node;

/// What is measured unless the environment says otherwise.
pub const SERIES_DEFAULT: &str = "wamr-crun:microservice-wasm";

/// A lab that hangs must not hang the tests for ever; this is no limit of performance.
const DEADLINE: Duration = Duration::from_mins(15);

/// What a test works with.
pub struct Fixture {
    dir: tempfile::TempDir,
    programs: PathBuf,
}

/// A lab that runs.
pub struct Lab {
    child: Child,
    output: PathBuf,
    journal: PathBuf,
}

/// How a lab ended.
pub struct Finished {
    /// Exit code, `None` if a signal ended it.
    pub code: Option<i32>,
    /// All that it printed.
    pub text: String,
}

impl Fixture {
    /// `None` where this machine cannot have a node.
    pub fn new() -> Option<Self> {
        test_node::image()?;
        let programs = wamr_testing::resident()?;
        let dir = tempfile::tempdir().expect("a directory for the test");
        Some(Self { dir, programs })
    }

    /// Where the run is written.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Writes a file for the lab to read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("write a file for the lab");
        path
    }

    /// An experiment with short windows; a series is `RUNTIME:WORKLOAD`.
    pub fn experiment(&self, series: &[&str], pods: usize) -> PathBuf {
        let mut text = format!(
            "title = \"end to end\"\nprovider = \"native\"\ncontrol_plane = \"unthrottled\"\n\
             seed = 1\nrepetitions = 1\ndensities = [{pods}]\n"
        );
        for series in series {
            let (runtime, workload) = series.split_once(':').expect("RUNTIME:WORKLOAD");
            writeln!(text, "[[series]]\nruntime = \"{runtime}\"\nworkload = \"{workload}\"")
                .expect("a String takes all");
        }
        text += "[timing]\nsettle_window_s = 5\nsettle_max_s = 20\nsettle_slope_kib_per_s = 64\n\
                 plateau_samples = 5\nmetrics_scrapes = 1\nmetrics_resolution_s = 10\n\
                 pod_deadline_s = 120\n";
        self.write("experiment.toml", &text)
    }

    /// Starts `wamr-lab run`.
    pub fn start(&self, experiment: &Path, more: &[&str]) -> Lab {
        let run = ["run".as_ref(), experiment.as_os_str(), "--out".as_ref()];
        self.spawn(more.iter().map(AsRef::as_ref).chain(run))
    }

    /// Starts `wamr-lab run --resume`.
    pub fn resume(&self) -> Lab {
        self.spawn(["run".as_ref(), "--resume".as_ref()])
    }

    /// Starts `wamr-lab churn` with few pods and readings.
    pub fn churn(&self, more: &[&str]) -> Lab {
        let few = ["--collect-heaps", "--pods", "20", "--share", "10", "--readings", "10", "--out"];
        self.spawn(["churn"].iter().chain(more).chain(&few).map(AsRef::as_ref))
    }

    /// Starts wamr-lab with `arguments` and then the run directory.
    fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Lab {
        let output = self.dir.path().join("output");
        let file = fs::File::create(&output).expect("a file for the lab's output");
        let child = Command::new(env!("CARGO_BIN_EXE_wamr-lab"))
            .arg("--programs")
            .arg(&self.programs)
            .args(arguments)
            .arg(self.run_dir())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("one more descriptor"))
            .stderr(file)
            .spawn()
            .expect("start wamr-lab");
        Lab { child, output, journal: self.run_dir().join("journal.ndjson") }
    }
}

impl Lab {
    /// Its process id, which names its node.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Finished {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for wamr-lab") {
                assert!(status.signal().is_none(), "{status}: {}", self.text());
                return Finished { code: status.code(), text: self.text() };
            }
            assert!(begun.elapsed() < DEADLINE, "wamr-lab hangs: {}", self.text());
            sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the journal has `event`.
    pub fn wait_for_event(&mut self, event: &str) {
        let wanted = format!("\"event\":\"{event}\"");
        let begun = Instant::now();
        loop {
            if fs::read_to_string(&self.journal).is_ok_and(|text| text.contains(&wanted)) {
                return;
            }
            let ended = self.child.try_wait().expect("look at wamr-lab");
            assert!(ended.is_none(), "ended before {event}: {}", self.text());
            assert!(begun.elapsed() < DEADLINE, "no {event}: {}", self.text());
            sleep(Duration::from_millis(100));
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("signal wamr-lab");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill wamr-lab");
        self.child.wait().expect("wait for wamr-lab");
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let read = fs::File::open(&self.output).and_then(|mut file| file.read_to_string(&mut text));
        read.expect("read the lab's output");
        text
    }
}

impl Drop for Lab {
    /// A failed assertion must not leave a node behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.interrupt();
            drop(self.child.wait());
        }
    }
}
