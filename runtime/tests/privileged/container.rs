//! A bundle in a temporary directory and the runtime under test, for one test each.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One container of one test; dropped, it is deleted.
pub struct Container {
    pub id: String,
    pub bundle: TempDir,
    pub config: Value,
    runtime: PathBuf,
    /// What stands before the runtime on its command line.
    wrapper: Vec<String>,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Says why a test does nothing: of our runtime, what it lacks; of another, how it differs.
pub fn skip(reason: &str) {
    if is_ours() { wamr_testing::lacking(reason) } else { println!("skipped: {reason}") }
}

fn busybox() -> Option<PathBuf> {
    let named = std::env::var_os("WAMR_TEST_BUSYBOX").map(PathBuf::from);
    let usual = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|path| path.exists())
}

/// Whether the runtime under test is the one of this package.
pub fn is_ours() -> bool {
    let named = std::env::var_os("WAMR_TEST_RUNTIME").map(PathBuf::from);
    named.is_none_or(|path| path.ends_with("wamr-crun"))
}

impl Container {
    /// A container that runs `script` in busybox's shell; `None` (and a line) if it cannot be.
    pub fn shell(script: &str) -> Option<Self> {
        let mut container = Self::empty()?;
        if !container.add_busybox() {
            skip("busybox is not installed (apt-get install busybox-static)");
            return None;
        }
        container.set("/process/args", json!(["sh", "-c", script]));
        Some(container)
    }

    /// Puts busybox and links to it into /bin of the root; `false` if there is none.
    pub fn add_busybox(&self) -> bool {
        let Some(busybox) = busybox() else { return false };
        let bin = self.rootfs().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(busybox, bin.join("busybox")).unwrap();
        for name in ["sh", "ls", "cat", "sleep", "id", "echo", "touch", "mount", "hostname", "ps"]
            .into_iter()
            .chain(["readlink", "stat", "mkdir", "dd", "kill", "grep", "head", "true", "tr"])
            .chain(["stty", "nc", "env"])
        {
            std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
        }
        true
    }

    /// A container with an empty root and the usual config.json.
    pub fn empty() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("needs root");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = format!("wamr-test-{}-{number}", std::process::id());
        let bundle = tempfile::tempdir().unwrap();
        fs::create_dir(bundle.path().join("rootfs")).unwrap();
        let runtime = std::env::var_os("WAMR_TEST_RUNTIME")
            .map_or(PathBuf::from(env!("CARGO_BIN_EXE_wamr-crun")), PathBuf::from);
        let config = base(&id);
        Some(Self { id, bundle, config, runtime, wrapper: Vec::new() })
    }

    pub fn rootfs(&self) -> PathBuf {
        self.bundle.path().join("rootfs")
    }

    /// The runtime's file.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// Uses another runtime's file.
    pub fn use_runtime(&mut self, runtime: &Path) {
        runtime.clone_into(&mut self.runtime);
    }

    /// Calls the runtime through `wrapper`, a program and its arguments.
    pub fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    /// Puts `value` at the JSON pointer `at`; its parent exists.
    pub fn set(&mut self, at: &str, value: Value) {
        let (parent, name) = at.rsplit_once('/').unwrap();
        self.config.pointer_mut(parent).unwrap()[name] = value;
    }

    /// Appends `value` to the array at the JSON pointer `at`.
    pub fn push(&mut self, at: &str, value: Value) {
        self.config.pointer_mut(at).unwrap().as_array_mut().unwrap().push(value);
    }

    /// Makes the namespace `kind` one that is joined, or leaves it out.
    pub fn namespace(&mut self, kind: &str, path: Option<&str>) {
        let list = self.config.pointer_mut("/linux/namespaces").unwrap().as_array_mut().unwrap();
        list.retain(|namespace| namespace["type"] != kind);
        if let Some(path) = path {
            list.push(json!({"type": kind, "path": path}));
        }
    }

    pub fn state_root(&self) -> PathBuf {
        self.bundle.path().join("state")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.runtime),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.runtime);
                command
            }
        };
        command.arg("--root").arg(self.state_root());
        if by_systemd() {
            command.arg("--systemd-cgroup");
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Writes config.json.
    pub fn write_config(&self) {
        let text = serde_json::to_vec(&self.config).unwrap();
        fs::write(self.bundle.path().join("config.json"), text).unwrap();
    }

    /// Runs it to its end.
    pub fn run(&self) -> Ran {
        self.write_config();
        let bundle = self.bundle.path().to_str().unwrap();
        ran(&self.command(&["run", "--bundle", bundle, &self.id]).output().unwrap())
    }

    /// As [`Container::run`], with what the runtime writes to its log.
    pub fn run_logged(&self) -> (Ran, String) {
        self.write_config();
        let bundle = self.bundle.path().to_str().unwrap();
        let log = self.bundle.path().join("log");
        let global = ["--log", log.to_str().unwrap()];
        let arguments = [&global[..], &["run", "--bundle", bundle, &self.id]].concat();
        let ran = ran(&self.command(&arguments).output().unwrap());
        (ran, fs::read_to_string(log).unwrap_or_default())
    }

    /// Creates it; its output goes to files, because an open pipe would outlive the runtime.
    pub fn create(&self, flags: &[&str]) -> Ran {
        self.write_config();
        let file = |name: &str| File::create(self.bundle.path().join(name)).unwrap();
        let bundle = self.bundle.path().to_str().unwrap();
        let arguments = [&["create", "--bundle", bundle], flags, &[&self.id]].concat();
        let status = self
            .command(&arguments)
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .status()
            .unwrap();
        Ran {
            status: status.code().unwrap_or(-1),
            stdout: self.output("stdout"),
            stderr: self.output("stderr"),
        }
    }

    /// What the container wrote so far.
    pub fn output(&self, name: &str) -> String {
        fs::read_to_string(self.bundle.path().join(name)).unwrap()
    }

    /// Another verb with this container's name at its end, or with `after` behind it.
    pub fn verb(&self, verb: &[&str], after: &[&str]) -> Ran {
        let arguments = [verb, &[self.id.as_str()], after].concat();
        ran(&self.command(&arguments).output().unwrap())
    }

    /// As [`Container::alone`], for a verb that leaves a process behind.
    pub fn alone_detached(&self, arguments: &[&str]) -> Ran {
        let path = self.bundle.path().join("detached");
        let file = File::create(&path).unwrap();
        let same = file.try_clone().unwrap();
        let status = self.command(arguments).stdout(file).stderr(same).status().unwrap();
        let text = fs::read_to_string(path).unwrap();
        Ran { status: status.code().unwrap_or(-1), stdout: text.clone(), stderr: text }
    }

    /// As [`Container::verb`], for one that leaves a process behind: it gets no pipe, whose end
    /// would never come.
    pub fn verb_detached(&self, verb: &[&str], after: &[&str]) -> Ran {
        self.alone_detached(&[verb, &[self.id.as_str()], after].concat())
    }

    /// A verb that names no container.
    pub fn alone(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().unwrap())
    }

    /// A verb that must succeed.
    pub fn must(&self, verb: &[&str], after: &[&str]) -> Ran {
        let got = self.verb(verb, after);
        assert_eq!(got.status, 0, "{verb:?}: {got:?}");
        got
    }

    /// `state`, parsed.
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.must(&["state"], &[]).stdout).unwrap()
    }

    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Waits until the container has stopped.
    pub fn wait_stopped(&self) {
        wait_until("the container stops", || self.status() == "stopped");
    }

    /// The container's group in a v1 hierarchy or in the v2 one.
    pub fn cgroup(&self, controller: &str) -> PathBuf {
        let top = Path::new("/sys/fs/cgroup");
        let top = if is_v2() { top.to_owned() } else { top.join(controller) };
        top.join(group(&self.id))
    }

    /// Whether any trace of it is left: state, groups.
    pub fn assert_gone(&self) {
        assert!(!self.state_root().join(&self.id).exists(), "state is left");
        self.assert_no_groups();
    }

    /// Whether it has groups of its own.
    pub fn assert_no_groups(&self) {
        let entries = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let tops = entries.map(|entry| entry.path()).chain([PathBuf::from("/sys/fs/cgroup")]);
        for top in tops {
            let group = top.join(group(&self.id));
            assert!(!group.exists(), "{} is there", group.display());
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let bundle = self.bundle.path().to_str().unwrap().to_owned();
        if Path::new(&bundle).exists() {
            drop(self.command(&["delete", "--force", &self.id]).output());
        }
    }
}

/// Whether systemd makes the control groups in these tests: `WAMR_TEST_CGROUP_MANAGER=systemd`.
pub fn by_systemd() -> bool {
    std::env::var_os("WAMR_TEST_CGROUP_MANAGER").is_some_and(|manager| manager == "systemd")
}

/// A container's group below the top of a hierarchy.
fn group(id: &str) -> String {
    if by_systemd() { format!("wamrtest.slice/t-{id}.scope") } else { id.to_owned() }
}

/// Whether the host has only the v2 hierarchy.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Whether the host has these controllers; says so if not.
pub fn has_controllers(names: &[&str]) -> bool {
    let offered = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
    let has = |name: &str| match &offered {
        Ok(text) => text.split_whitespace().any(|word| word == name),
        Err(_) => Path::new("/sys/fs/cgroup").join(name).is_dir(),
    };
    match names.iter().find(|name| !has(name)) {
        Some(name) => {
            println!("no controller {name}");
            wamr_testing::skip("controller");
            false
        }
        None => true,
    }
}

/// What deadlines of the tests are multiplied by: `WAMR_TEST_PATIENCE`, for a slow machine.
fn patience() -> u32 {
    std::env::var("WAMR_TEST_PATIENCE")
        .map_or(1, |text| text.parse().expect("WAMR_TEST_PATIENCE is a number"))
}

/// Polls until `done`, for at most ten seconds, or as many times that as the machine is slow.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    let limit = Duration::from_secs(10) * patience();
    while !done() {
        assert!(begin.elapsed() < limit, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `line` in the host's shell.
pub fn host_shell(line: &str) -> Ran {
    ran(&Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap())
}

fn ran(output: &Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `linux.cgroupsPath` of the container `id`.
pub fn cgroups_path(id: &str) -> String {
    if by_systemd() { format!("wamrtest.slice:t:{id}") } else { format!("/{id}") }
}

fn base(id: &str) -> Value {
    let path = cgroups_path(id);
    json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "hostname": "inside",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                "permitted": ["CAP_KILL"]},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {
            "cgroupsPath": path,
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}, {"type": "cgroup"}],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        },
    })
}
