//! A box: boots one, runs commands in it, and leaves nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::debian::{self, Suite};
use crate::image;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/box.sh");

/// Nothing here takes that long unless it hangs; no limit of performance.
const PATIENCE: Duration = Duration::from_mins(3);

/// A machine that is up.
pub struct Machine {
    name: String,
    child: Child,
    first_pid: u32,
    dir: tempfile::TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit status; 137 after three minutes.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Machine {
    /// A box of that release; `None` without root or programs.
    pub fn boot(suite: Suite) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !wamr_testing::is_root() {
            return None;
        }
        let programs = wamr_testing::resident()?;
        let root = debian::root(suite);
        let dir = tempfile::tempdir().expect("a directory for the box");
        let (scratch, share) = (dir.path().join("scratch"), dir.path().join("share"));
        for each in [&scratch, &share] {
            fs::create_dir(each).expect("a directory for the box");
        }
        image::write_all(&share);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wamr-clients-{}-{count}", std::process::id());
        let child = Command::new(SCRIPT)
            .args(["boot", &name])
            .args([&root, &scratch, &programs, &share])
            .stdin(Stdio::null())
            .spawn()
            .expect("start box.sh");
        let mut machine = Self { name, child, first_pid: 0, dir };
        machine.wait_until_up();
        Some(machine)
    }

    fn wait_until_up(&mut self) {
        let id = self.child.id();
        let children = format!("/proc/{id}/task/{id}/children");
        eventually("the box is up", || {
            let ended = self.child.try_wait().expect("look at the box");
            assert!(ended.is_none(), "box.sh boot: {ended:?}");
            let text = fs::read_to_string(&children).unwrap_or_default();
            let pid = text.trim().parse().ok()?;
            let marker = format!("/proc/{pid}/root/run/booted");
            self.first_pid = pid;
            Path::new(&marker).exists().then_some(())
        });
    }

    /// The directory that the box has as /share.
    pub fn share(&self) -> PathBuf {
        self.dir.path().join("share")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SCRIPT);
        command.args(["run", &self.name, &self.first_pid.to_string()]).args(words);
        command
    }

    /// Starts a daemon; what it says goes to a file of its name in the share.
    pub fn daemon(&self, words: &[&str]) {
        let log = fs::File::create(self.share().join(format!("{}.log", words[0]))).expect("a log");
        let both = log.try_clone().expect("one more descriptor");
        let child = self.command(words).stdin(Stdio::null()).stdout(log).stderr(both).spawn();
        // It ends with the box, whose first process reaps it there.
        drop(child.expect("start a daemon"));
    }

    /// Runs a command in the box.
    pub fn run(&self, words: &[&str]) -> Said {
        self.run_with_input(words, "")
    }

    /// As [`Machine::run`], with something on standard input.
    pub fn run_with_input(&self, words: &[&str], input: &str) -> Said {
        let seconds = PATIENCE.as_secs().to_string();
        let all: Vec<&str> =
            ["timeout", "-s", "KILL", &seconds].iter().chain(words).copied().collect();
        let mut child = self
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start a command in the box");
        let mut stdin = child.stdin.take().expect("a pipe");
        // The command may have ended without reading.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("wait for a command in the box");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code().unwrap_or(137),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// As [`Machine::run_with_input`], on a terminal; its output has both streams.
    pub fn on_terminal(&self, words: &[&str], input: &str) -> Said {
        self.run_with_input(&["script", "-qec", &words.join(" "), "/dev/null"], input)
    }

    /// As [`Machine::run`]; the command must succeed. Returns its output.
    pub fn done(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}\n{}", self.logs());
        said.out
    }

    /// What the daemons said last.
    pub fn logs(&self) -> String {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.share()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines[lines.len().saturating_sub(15)..].join("\n");
                all.push(format!("--- {}\n{tail}", path.display()));
            }
        }
        all.join("\n")
    }

    /// The memory limit of the control group whose path has `id`, as the kernel knows it.
    pub fn memory_limit_bytes(&self, id: &str) -> u64 {
        let find = format!(
            "find /sys/fs/cgroup -path '*{id}*/memory.max' -o -path '*{id}*/memory.limit_in_bytes' \
             | grep -v conmon | head -n 1 | xargs cat"
        );
        let text = self.done(&["sh", "-c", &find]);
        text.trim().parse().unwrap_or_else(|error| panic!("limit of {id}: {error}: {text:?}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All processes of the box die with it; its mounts go with the last of them.
        drop(self.child.kill());
        drop(self.child.wait());
        let removed = Command::new(SCRIPT).args(["remove", &self.name]).output();
        let removed = removed.expect("run box.sh remove");
        let said = String::from_utf8_lossy(&removed.stderr);
        if !std::thread::panicking() {
            assert!(removed.status.success(), "{said}");
        }
    }
}

/// Asks until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(100));
    }
}
