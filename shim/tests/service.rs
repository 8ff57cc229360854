//! The shim as containerd meets it: `start`, calls on the socket, `delete`. Root is needed; pods
//! are those without a process, so no OCI runtime is asked for anything but `delete`. The tests of
//! its memory and of output alone have containers in them.
//!
//! Tier: test

#[path = "service/bootstrap.rs"]
mod bootstrap;
#[path = "service/failures.rs"]
mod failures;
#[path = "service/hangs.rs"]
mod hangs;
#[path = "service/loggers.rs"]
mod loggers;
#[path = "service/memory.rs"]
mod memory;
#[path = "service/output.rs"]
mod output;
#[path = "service/upgrade.rs"]
mod upgrade;
#[path = "service/upgrade_refused.rs"]
mod upgrade_refused;
#[path = "service/upgrades_under_load.rs"]
mod upgrades_under_load;
#[path = "service/version_3.rs"]
mod version_3;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use prost::Message;
use wamr_shim::api::rpc::{Request, Response};
use wamr_shim::api::task::{self, Connected, CreateTask, Deleted, Exited, Pid, Pids, State};
use wamr_shim::ttrpc::frame;

const SHIM: &str = env!("CARGO_BIN_EXE_containerd-shim-wamr-crun-v1");
const SANDBOX: &str = r#"{"ociVersion": "1.0.2", "hostname": "pod",
    "annotations": {"io.kubernetes.cri.container-type": "sandbox"},
    "linux": {"namespaces": [{"type": "ipc"}, {"type": "uts"}, {"type": "pid"}]}}"#;
/// Nothing here takes that long unless it hangs; no limit of performance.
const PATIENCE: Duration = Duration::from_mins(1);
const NOT_FOUND: i32 = 5;
const UNIMPLEMENTED: i32 = 12;
const INVALID: i32 = 3;
const KILLED: u32 = 137;

/// A containerd of this test: its address is where the shims have their files.
struct Containerd {
    dir: tempfile::TempDir,
    address: String,
    shim: PathBuf,
}

impl Containerd {
    /// `None` without root.
    fn new(test: &str) -> Option<Self> {
        if !wamr_testing::is_root() {
            return None;
        }
        let address = format!("/test-{test}-{}", std::process::id());
        let shim = std::env::var_os("WAMR_TEST_SHIM").unwrap_or_else(|| SHIM.into()).into();
        Some(Self { dir: tempfile::tempdir().unwrap(), address, shim })
    }

    /// A directory with a config.json: a pod's, unless there is one.
    fn bundle(&self, id: &str) -> PathBuf {
        let bundle = self.dir.path().join(id);
        fs::create_dir_all(bundle.join("rootfs")).unwrap();
        let config = bundle.join("config.json");
        if !config.exists() {
            fs::write(config, SANDBOX).unwrap();
        }
        bundle
    }

    fn command(&self, id: &str, verb: &str) -> Command {
        let mut command = Command::new(&self.shim);
        command.args(["-namespace", "test", "-address", &self.address, "-publish-binary", "c"]);
        command.args(["-id", id, verb]).current_dir(self.bundle(id));
        command.env("TTRPC_ADDRESS", self.dir.path().join("nobody"));
        // The runtime is looked for in PATH: this one has nothing to delete.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.runtime().display()));
        command
    }

    /// A directory with a runtime that does nothing.
    fn runtime(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let directory = self.dir.path().join("bin");
        fs::create_dir_all(&directory).unwrap();
        let program = directory.join("wamr-crun");
        if !program.exists() {
            let temporary = directory.join(format!("new-{:?}", std::thread::current().id()));
            fs::write(&temporary, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(temporary, program).unwrap();
        }
        directory
    }

    /// The socket that `start` names.
    fn start(&self, id: &str) -> PathBuf {
        let output = self.command(id, "start").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let address = String::from_utf8(output.stdout).unwrap();
        let written = fs::read_to_string(self.dir.path().join(id).join("address")).unwrap();
        assert_eq!(written, address);
        address.strip_prefix("unix://").unwrap().into()
    }

    fn delete(&self, id: &str) -> Output {
        self.command(id, "delete").output().unwrap()
    }

    fn home(&self) -> PathBuf {
        let name = self.address.trim_start_matches('/').replace('-', "--");
        Path::new("/run/wamr-shim").join(name)
    }
}

impl Drop for Containerd {
    /// After a failure a process may be there still, and may be stopped.
    fn drop(&mut self) {
        for shard in fs::read_dir(self.home().join("test")).into_iter().flatten().flatten() {
            let pid = fs::read_to_string(shard.path().join("pid")).unwrap_or_default();
            if let Ok(pid) = pid.parse() {
                let pid = nix::unistd::Pid::from_raw(pid);
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
            }
        }
        drop(fs::remove_dir_all(self.home()));
    }
}

struct Client {
    stream: UnixStream,
    stream_id: u32,
    service: &'static str,
}

impl Client {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, stream_id: 1, service: task::SERVICE }
    }

    fn send(&mut self, method: &str, message: &impl Message) -> u32 {
        let service = self.service.to_owned();
        let payload = message.encode_to_vec();
        self.send_request(&Request { service, method: method.to_owned(), payload, timeout_ns: 0 })
    }

    fn send_request(&mut self, request: &Request) -> u32 {
        let stream = self.stream_id;
        self.stream_id += 2;
        let mut bytes = Vec::new();
        frame::put(&mut bytes, stream, frame::REQUEST, &request.encode_to_vec());
        self.stream.write_all(&bytes).unwrap();
        stream
    }

    fn receive(&mut self) -> (u32, Response) {
        let mut bytes = Vec::new();
        loop {
            if let Some(frame) = frame::take(&mut bytes).unwrap() {
                assert_eq!((frame.kind, bytes.len()), (frame::RESPONSE, 0));
                return (frame.stream, Response::decode(&*frame.data).unwrap());
            }
            // One by one, so that nothing of the next answer is taken.
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
    }

    /// The answer, or gRPC's code.
    fn call<A: Message + Default>(
        &mut self,
        method: &str,
        message: &impl Message,
    ) -> Result<A, i32> {
        let sent = self.send(method, message);
        let (stream, response) = self.receive();
        assert_eq!(stream, sent);
        match response.status {
            None => Ok(A::decode(&*response.payload).unwrap()),
            Some(status) => {
                println!("{method}: {}", status.message);
                Err(status.code)
            }
        }
    }
}

fn of(id: &str) -> task::ProcessRequest {
    task::ProcessRequest { id: id.to_owned(), exec_id: String::new() }
}

fn create(containerd: &Containerd, id: &str) -> CreateTask {
    let bundle = containerd.bundle(id).display().to_string();
    CreateTask { id: id.to_owned(), bundle, ..CreateTask::default() }
}

fn kill(id: &str, signal: u32) -> task::Kill {
    task::Kill { id: id.to_owned(), signal, ..task::Kill::default() }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_life_of_a_pod_without_a_process() {
    let Some(containerd) = Containerd::new("life") else { return };
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    assert_eq!(client.call::<State>("State", &of("p")), Err(NOT_FOUND));
    let made: Pid = client.call("Create", &create(&containerd, "p")).unwrap();
    assert_eq!(client.call::<Pid>("Create", &create(&containerd, "p")), Err(6), "twice");
    assert_eq!(client.call::<Deleted>("Delete", &of("q")), Err(NOT_FOUND));
    // Its namespaces are kept by descriptors, and are not this test's.
    let kept = || fs::read_dir(format!("/proc/{}/fd", made.pid)).unwrap().flatten();
    let links: Vec<_> = kept().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    for kind in ["ipc", "uts"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let is_kind = |link: &&PathBuf| link.to_string_lossy().starts_with(&format!("{kind}:["));
        let held = links.iter().find(is_kind).unwrap();
        assert_ne!(*held, own);
    }
    assert_eq!(client.call::<Pid>("Start", &of("p")), Ok(made));
    assert_eq!(client.call::<Pid>("Start", &of("p")), Err(9), "twice");
    let connected: Connected = client.call("Connect", &of("p")).unwrap();
    assert_eq!((connected.shim_pid, connected.task_pid), (made.pid, made.pid));
    let pids: Pids = client.call("Pids", &of("p")).unwrap();
    assert_eq!(pids.processes.len(), 1, "containerd takes a task without one for gone");
    assert_eq!(client.call::<Deleted>("Delete", &of("p")), Err(9), "it runs");

    let mut waiting = Client::connect(&socket);
    let sent = waiting.send("Wait", &of("p"));
    // One that goes before it is answered does no harm.
    Client::connect(&socket).send("Wait", &of("p"));
    client.call::<()>("Kill", &kill("p", 28)).unwrap();
    let state: State = client.call("State", &of("p")).unwrap();
    assert_eq!(state.status(), task::Status::Running, "SIGWINCH ends nothing");
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    let (stream, answer) = waiting.receive();
    let exited = Exited::decode(&*answer.payload).unwrap();
    assert_eq!((stream, exited.exit_status), (sent, KILLED));
    assert_eq!(client.call::<Exited>("Wait", &of("p")).unwrap(), exited, "afterwards, too");
    assert_eq!(client.call::<()>("Kill", &kill("p", 9)), Err(NOT_FOUND));
    let deleted: Deleted = client.call("Delete", &of("p")).unwrap();
    assert_eq!(deleted.exit_status, KILLED);
    assert_eq!(client.call::<Deleted>("Delete", &of("p")), Err(NOT_FOUND));
    client.call::<()>("Shutdown", &of("p")).unwrap();
    eventually("the idle process ends", || !socket.exists());
}

#[test]
fn a_pod_in_the_nodes_network_has_users_of_its_own() {
    let Some(containerd) = Containerd::new("users") else { return };
    let map = r#"[{"containerID": 0, "hostID": 70000, "size": 65536}]"#;
    let linux = format!(r#""linux": {{"uidMappings": {map}, "gidMappings": {map}, "#);
    let config = SANDBOX.replace(r#""linux": {"#, &linux);
    let config = config.replace(r#"{"type": "pid"}"#, r#"{"type": "pid"}, {"type": "user"}"#);
    fs::create_dir_all(containerd.dir.path().join("p")).unwrap();
    fs::write(containerd.dir.path().join("p/config.json"), &config).unwrap();
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    let made: Pid = client.call("Create", &create(&containerd, "p")).unwrap();
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    let links = fs::read_dir(format!("/proc/{}/fd", made.pid)).unwrap().flatten();
    let links: Vec<_> = links.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    let held = links.iter().find(|link| link.to_string_lossy().starts_with("user:[")).unwrap();
    assert_ne!(*held, own);
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("p")).unwrap();
}

#[test]
fn nonsense_is_refused_and_harms_nobody() {
    let Some(containerd) = Containerd::new("nonsense") else { return };
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    client.call::<Pid>("Create", &create(&containerd, "p")).unwrap();
    for (method, want) in [("Checkpoint", UNIMPLEMENTED), ("", UNIMPLEMENTED)] {
        assert_eq!(client.call::<()>(method, &of("p")), Err(want), "{method}");
    }
    for id in ["", "..", "a/b"] {
        let request = CreateTask { id: id.to_owned(), ..create(&containerd, "p") };
        assert_eq!(client.call::<Pid>("Create", &request), Err(INVALID), "{id:?}");
    }
    let stray = CreateTask { bundle: "/not/there".to_owned(), ..create(&containerd, "q") };
    assert_eq!(client.call::<Pid>("Create", &stray), Err(2));
    let service = "containerd.task.v9.Task".to_owned();
    client.send_request(&Request { service, ..Request::default() });
    assert_eq!(client.receive().1.status.unwrap().code, UNIMPLEMENTED);
    let method = "Create".to_owned();
    let payload = vec![0xff; 40];
    client.send_request(&Request { service: task::SERVICE.into(), method, payload, timeout_ns: 0 });
    assert_eq!(client.receive().1.status.unwrap().code, INVALID);
    // A message that is too long ends its connection, and no other.
    let mut other = UnixStream::connect(&socket).unwrap();
    other.write_all(&[0xff; 10]).unwrap();
    assert_eq!(other.read(&mut [0]).unwrap_or(0), 0);
    client.call::<State>("State", &of("p")).unwrap();
    client.call::<()>("Kill", &kill("p", 15)).unwrap();
    client.call::<Deleted>("Delete", &of("p")).unwrap();
}

#[test]
fn many_starts_at_once_have_one_process_and_its_end_is_cleaned_up_after() {
    let Some(containerd) = Containerd::new("starts") else { return };
    let ids: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let sockets: Vec<PathBuf> = std::thread::scope(|scope| {
        let containerd = &containerd;
        let started: Vec<_> =
            ids.iter().map(|id| scope.spawn(move || containerd.start(id))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(sockets.iter().all(|socket| *socket == sockets[0]), "{sockets:?}");
    let mut client = Client::connect(&sockets[0]);
    let made: Pid = client.call("Create", &create(&containerd, "p0")).unwrap();
    let shim = nix::unistd::Pid::from_raw(made.pid as i32);
    nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("its socket answers nobody", || UnixStream::connect(&sockets[0]).is_err());
    for attempt in 0..2 {
        let output = containerd.delete("p0");
        let deleted = Deleted::decode(&*output.stdout).unwrap();
        assert_eq!(deleted.exit_status, KILLED, "{attempt}: {output:?}");
    }
    // The next pod has a process again, in the place of the one that is gone.
    assert_eq!(containerd.start("again"), sockets[0]);
    let mut client = Client::connect(&sockets[0]);
    let next: Pid = client.call("Create", &create(&containerd, "again")).unwrap();
    assert_ne!(next.pid, made.pid);
    client.call::<()>("Kill", &kill("again", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("again")).unwrap();
    eventually("the idle process ends", || !sockets[0].exists());
}
