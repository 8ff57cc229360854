//! Another program goes on with what a process serves.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use wamr_shim::api::Any;
use wamr_shim::api::event::{
    Event, Forward, TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskStart,
};

use super::memory::{remove_groups, shipped};
use super::output::{bundle, process};
use super::*;

/// A copy of the shim, with a runtime beside it: another program, as far as the kernel knows.
pub fn another(containerd: &Containerd, name: &str) -> PathBuf {
    let directory = containerd.dir.path().join(name);
    fs::create_dir(&directory).unwrap();
    let program = directory.join("shim");
    fs::copy(&containerd.shim, &program).unwrap();
    // As dpkg does. What is not on the disk yet counts as memory of the process.
    fs::File::open(&program).unwrap().sync_all().unwrap();
    let runtime = containerd.shim.with_file_name("wamr-crun");
    if runtime.exists() {
        symlink(runtime, directory.join("wamr-crun")).unwrap();
    }
    program
}

/// Has the process that listens on `socket` go on as `program`.
pub fn upgrade(program: &Path, socket: &Path) -> Output {
    let directory = socket.parent().unwrap();
    Command::new(program).arg("upgrade").arg(directory).output().unwrap()
}

pub fn upgraded(program: &Path, socket: &Path, pid: u32) {
    let output = upgrade(program, socket);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("process {pid} was ")), "{said}");
    let runs = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(runs, program.canonicalize().unwrap());
}

/// What containerd is told: of which container, and what.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<(String, String)>>>);

impl Events {
    pub fn take(containerd: &Containerd) -> Self {
        let events = Self::default();
        let listener = UnixListener::bind(containerd.dir.path().join("nobody")).unwrap();
        let all = events.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = all.clone();
                std::thread::spawn(move || all.answer(stream));
            }
        });
        events
    }

    fn answer(&self, mut stream: UnixStream) {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
            while let Ok(Some(frame)) = frame::take(&mut bytes) {
                let request = Request::decode(&*frame.data).unwrap();
                self.0.lock().unwrap().push(told(&request.payload));
                let mut answer = Vec::new();
                let response = Response::default().encode_to_vec();
                frame::put(&mut answer, frame.stream, frame::RESPONSE, &response);
                stream.write_all(&answer).unwrap();
            }
        }
    }

    /// Those of a container.
    pub fn of(&self, id: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(of, _)| of == id).map(|(_, what)| what.clone()).collect()
    }
}

fn told(payload: &[u8]) -> (String, String) {
    let envelope = Forward::decode(payload).unwrap().envelope.unwrap();
    let value = envelope.event.unwrap().value;
    let topic = envelope.topic.trim_start_matches("/tasks/").to_owned();
    let is = |kind: (&str, &str)| kind.0 == envelope.topic;
    if is(TaskExit::KIND) {
        let event = TaskExit::decode(&*value).unwrap();
        return (event.container_id, format!("exit {} {}", event.id, event.exit_status));
    }
    let id = match envelope.topic.as_str() {
        _ if is(TaskCreate::KIND) => TaskCreate::decode(&*value).unwrap().container_id,
        _ if is(TaskStart::KIND) => TaskStart::decode(&*value).unwrap().container_id,
        _ if is(TaskDelete::KIND) => TaskDelete::decode(&*value).unwrap().container_id,
        _ if is(TaskExecAdded::KIND) => TaskExecAdded::decode(&*value).unwrap().container_id,
        _ if is(TaskExecStarted::KIND) => TaskExecStarted::decode(&*value).unwrap().container_id,
        other => panic!("{other}"),
    };
    (id, topic)
}

#[test]
fn a_pod_its_calls_and_its_events_go_on() {
    let Some(containerd) = Containerd::new("upgrade") else { return };
    let new = another(&containerd, "new");
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    let made: Pid = client.call("Create", &create(&containerd, "p")).unwrap();
    client.call::<Pid>("Start", &of("p")).unwrap();
    let namespaces = || {
        let links = fs::read_dir(format!("/proc/{}/fd", made.pid)).unwrap().flatten();
        let named = |path: PathBuf| Some((path.clone(), fs::read_link(path).ok()?));
        let links = links.filter_map(|fd| named(fd.path()));
        let kind =
            |link: &Path| ["ipc:[", "uts:["].iter().any(|k| link.to_string_lossy().starts_with(k));
        let mut held: Vec<_> = links.filter(|(_, link)| kind(link)).collect();
        held.sort();
        held
    };
    let before = namespaces();
    assert_eq!(before.len(), 2, "{before:?}");
    let mut waiting = Client::connect(&socket);
    let sent = waiting.send("Wait", &of("p"));
    // A call of which half has come.
    let mut half = Client::connect(&socket);
    let mut bytes = Vec::new();
    let (service, method) = (task::SERVICE.to_owned(), "State".to_owned());
    let payload = of("p").encode_to_vec();
    let request = Request { service, method, payload, timeout_ns: 0 };
    frame::put(&mut bytes, 77, frame::REQUEST, &request.encode_to_vec());
    half.stream.write_all(&bytes[..20]).unwrap();
    client.call::<State>("State", &of("p")).unwrap();

    upgraded(&new, &socket, made.pid);
    assert_eq!(namespaces(), before);
    half.stream.write_all(&bytes[20..]).unwrap();
    assert_eq!(half.receive().0, 77);
    // A new pod, by the program that is installed still.
    assert_eq!(containerd.start("q"), socket);
    assert_eq!(client.call::<Pid>("Create", &create(&containerd, "q")), Ok(made));
    // Nobody has taken an event so far; one after the other they come now.
    let events = Events::take(&containerd);
    upgraded(&containerd.shim, &socket, made.pid);
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    let (stream, answer) = waiting.receive();
    let exited = Exited::decode(&*answer.payload).unwrap();
    assert_eq!((stream, exited.exit_status), (sent, KILLED));
    client.call::<()>("Kill", &kill("q", 9)).unwrap();
    for id in ["p", "q"] {
        client.call::<Deleted>("Delete", &of(id)).unwrap();
    }
    let whole = ["create", "start", "exit p 137", "delete"];
    eventually("all events have come", || events.of("q").len() == 3);
    assert_eq!(events.of("p"), whole);
    eventually("the idle process ends", || !socket.exists());
}

/// As wamr-crun, it starts a process for `create` and `exec`; it goes on only when `hold` is gone.
/// The process ends with 7 when `end` is there.
const RUNTIME: &str = r#"#!/bin/sh
for word; do
    case $before in --pid-file) file=$word;; esac
    before=$word
done
while [ -e "$DIR/hold" ]; do sleep 0.02; done
[ -n "$file" ] || exit 0
sh -c 'while [ -d "$DIR" ] && [ ! -e "$DIR/end" ]; do sleep 0.02; done; exit 7' >/dev/null 2>&1 &
echo $! >"$file"
"#;

/// A containerd whose shim has that runtime, with bundles of containers of no pod.
fn with_runtime(test: &str, ids: [&str; 3]) -> Option<Containerd> {
    let mut containerd = Containerd::new(test)?;
    let dir = containerd.dir.path().to_owned();
    fs::create_dir_all(dir.join("bin")).unwrap();
    let runtime = dir.join("bin/wamr-crun");
    fs::write(&runtime, RUNTIME.replace("$DIR", &dir.display().to_string())).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
    let shim = dir.join("bin/shim");
    fs::copy(&containerd.shim, &shim).unwrap();
    containerd.shim = shim;
    for id in ids {
        fs::create_dir_all(dir.join(id)).unwrap();
        fs::write(dir.join(id).join("config.json"), r#"{"ociVersion": "1.0.2"}"#).unwrap();
    }
    Some(containerd)
}

#[test]
fn what_the_runtime_is_doing_goes_on() {
    let Some(containerd) = with_runtime("underway", ["a", "b", "c"]) else { return };
    let dir = containerd.dir.path().to_owned();
    let new = another(&containerd, "new");
    let socket = containerd.start("a");
    let mut a = Client::connect(&socket);
    a.call::<Pid>("Create", &create(&containerd, "a")).unwrap();
    a.call::<Pid>("Start", &of("a")).unwrap();
    let Connected { shim_pid: pid, .. } = a.call("Connect", &of("a")).unwrap();
    let exec = task::ExecProcess {
        id: "a".to_owned(),
        exec_id: "e".to_owned(),
        spec: Some(Any { value: b"{}".to_vec(), ..Any::default() }),
        ..task::ExecProcess::default()
    };
    a.call::<()>("Exec", &exec).unwrap();

    // The runtime makes b and starts e, and the runtime for c waits for a reader of its output.
    fs::write(dir.join("hold"), "").unwrap();
    let (mut b, mut c) = (Client::connect(&socket), Client::connect(&socket));
    let further = task::ProcessRequest { id: "a".to_owned(), exec_id: "e".to_owned() };
    let started = a.send("Start", &further);
    for (client, id, fifo) in [(&mut b, "b", ""), (&mut c, "c", "out")] {
        containerd.start(id);
        let mut request = create(&containerd, id);
        if !fifo.is_empty() {
            request.stdout = dir.join(fifo).display().to_string();
            mkfifo(&dir.join(fifo), Mode::S_IRWXU).unwrap();
        }
        client.send("Create", &request);
    }
    let mut other = Client::connect(&socket);
    let knows = |client: &mut Client, id: &str| client.call::<State>("State", &of(id)).is_ok();
    eventually("b and c are being made", || knows(&mut other, "b") && knows(&mut other, "c"));
    upgraded(&new, &socket, pid);
    upgraded(&containerd.shim, &socket, pid);

    fs::remove_file(dir.join("hold")).unwrap();
    let reader = std::thread::spawn({
        let fifo = dir.join("out");
        move || fs::File::open(fifo).unwrap()
    });
    for client in [&mut b, &mut c] {
        let (_, answer) = client.receive();
        assert!(answer.status.is_none(), "{:?}", answer.status);
    }
    assert_eq!(a.receive().0, started);
    drop(reader.join().unwrap());
    let mut waits = Client::connect(&socket);
    waits.send("Wait", &further);
    for (client, id) in [(&mut b, "b"), (&mut c, "c")] {
        client.call::<Pid>("Start", &of(id)).unwrap();
        client.send("Wait", &of(id));
    }
    a.send("Wait", &of("a"));
    // They end while another program comes.
    fs::write(dir.join("end"), "").unwrap();
    upgraded(&new, &socket, pid);
    for client in [&mut waits, &mut a, &mut b, &mut c] {
        let exited = Exited::decode(&*client.receive().1.payload).unwrap();
        assert_eq!(exited.exit_status, 7);
    }
    for id in ["a", "b", "c"] {
        assert_eq!(a.call::<Deleted>("Delete", &of(id)).unwrap().exit_status, 7);
    }
    eventually("the idle process ends", || !socket.exists());
}

#[test]
fn a_container_its_terminal_and_its_input_go_on() {
    if shipped().is_none() {
        return wamr_testing::lacking("WAMR_TEST_SHIM, with the shipped runtime beside it");
    }
    let Some(containerd) = Containerd::new("upgrade-c") else { return };
    let new = another(&containerd, "new");
    let mut client = Client::connect(&containerd.start("c"));
    // What it is told comes back; the end of its input ends it.
    bundle(&containerd, "c", "exec /busybox cat", false);
    let fifo = |name: &str| {
        let path = containerd.dir.path().join(name);
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        (path.display().to_string(), file)
    };
    let ((stdin, mut to_c), (stdout, mut of_c)) = (fifo("in"), fifo("out"));
    let request = CreateTask { stdin, stdout, ..create(&containerd, "c") };
    client.call::<Pid>("Create", &request).unwrap();
    client.call::<Pid>("Start", &of("c")).unwrap();
    let Connected { shim_pid: pid, .. } = client.call("Connect", &of("c")).unwrap();
    let ((stdin, mut to_e), (stdout, mut of_e)) = (fifo("e-in"), fifo("e-out"));
    let script = "/busybox stty -echo; echo ready; read line; echo got $line; exit 5";
    let request = task::ExecProcess {
        id: "c".to_owned(),
        exec_id: "e".to_owned(),
        terminal: true,
        stdin,
        stdout,
        spec: Some(Any { value: process(script, true).to_string().into_bytes(), ..Any::default() }),
        ..task::ExecProcess::default()
    };
    client.call::<()>("Exec", &request).unwrap();
    let further = task::ProcessRequest { id: "c".to_owned(), exec_id: "e".to_owned() };
    client.call::<Pid>("Start", &further).unwrap();
    let mut said = [0; 7];
    of_e.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"ready\r\n");

    let socket = containerd.home().join("test/0/socket");
    upgraded(&new, &socket, pid);
    client
        .call::<()>(
            "ResizePty",
            &task::ResizePty { id: "c".to_owned(), exec_id: "e".to_owned(), width: 80, height: 25 },
        )
        .unwrap();
    to_e.write_all(b"this\n").unwrap();
    let mut said = [0; 10];
    of_e.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"got this\r\n");
    assert_eq!(client.call::<Exited>("Wait", &further).unwrap().exit_status, 5);
    client.call::<Deleted>("Delete", &further).unwrap();
    to_c.write_all(b"that\n").unwrap();
    let mut said = [0; 5];
    of_c.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"that\n");
    client.call::<task::Stats>("Stats", &of("c")).unwrap();
    // The end that the shim has kept is closed.
    drop(to_c);
    let close = task::CloseIo { id: "c".to_owned(), stdin: true, ..task::CloseIo::default() };
    client.call::<()>("CloseIO", &close).unwrap();
    assert_eq!(client.call::<Exited>("Wait", &of("c")).unwrap().exit_status, 0);
    client.call::<Deleted>("Delete", &of("c")).unwrap();
    assert!(containerd.delete("c").status.success());
    remove_groups();
}
