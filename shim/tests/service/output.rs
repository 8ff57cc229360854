//! Output of processes that end at once, while containerd takes its time to open its end.

use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use wamr_shim::api::Any;

use super::memory::{remove_groups, shipped, take_events};
use super::*;

/// Longer than any of the processes lives.
const DELAY: Duration = Duration::from_millis(500);
const SAID: &str = "echo said; echo failed >&2";

/// A FIFO whose reader comes after a while, as containerd's does on a machine under load.
fn read_late(path: &Path) -> Receiver<String> {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    let (sender, receiver) = channel();
    let path = path.to_owned();
    spawn(move || {
        sleep(DELAY);
        // It waits for a writer; what it reads ends with the last one.
        drop(sender.send(fs::read_to_string(path).unwrap()));
    });
    receiver
}

pub fn process(script: &str, terminal: bool) -> Value {
    json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "terminal": terminal,
        "args": ["/busybox", "sh", "-c", script]})
}

/// A bundle whose container runs `script`.
pub fn bundle(containerd: &Containerd, id: &str, script: &str, terminal: bool) {
    let bundle = containerd.bundle(id);
    for directory in ["proc", "dev/pts"] {
        fs::create_dir_all(bundle.join("rootfs").join(directory)).unwrap();
    }
    let busybox = containerd.dir.path().join("busybox");
    if !busybox.exists() {
        fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
    }
    // A copy that another thread's child still has open for writing cannot be run.
    fs::hard_link(busybox, bundle.join("rootfs/busybox")).unwrap();
    let config = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": process(script, terminal),
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"]}],
        "linux": {
            "cgroupsPath": format!("/wamr-shim-test-{}/{id}", std::process::id()),
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"}],
        },
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
}

/// The two FIFOs of process `name`; those of a terminal are one.
struct Fifos {
    stdout: String,
    stderr: String,
    readers: Vec<(Receiver<String>, &'static str)>,
}

impl Fifos {
    fn new(containerd: &Containerd, name: &str, terminal: bool) -> Self {
        let path = |stream: &str| containerd.dir.path().join(format!("{name}-{stream}"));
        let (stdout, stderr) = (path("out"), path("err"));
        let mut readers = Vec::new();
        if terminal {
            readers.push((read_late(&stdout), "said\r\nfailed\r\n"));
        } else {
            readers.push((read_late(&stdout), "said\n"));
            readers.push((read_late(&stderr), "failed\n"));
        }
        let text = |path: PathBuf| path.display().to_string();
        let stderr = if terminal { String::new() } else { text(stderr) };
        Self { stdout: text(stdout), stderr, readers }
    }

    fn have_all(self, case: &str) {
        for (reader, want) in self.readers {
            let got = reader.recv_timeout(PATIENCE);
            assert_eq!(got.as_deref(), Ok(want), "{case}");
        }
    }
}

fn remove(client: &mut Client, containerd: &Containerd, id: &str) {
    client.call::<Deleted>("Delete", &of(id)).unwrap();
    assert!(containerd.delete(id).status.success());
}

/// After a failure nothing is to be left: no process, no container.
struct Leftovers<'a> {
    containerd: &'a Containerd,
    shim: u32,
    ids: Vec<String>,
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let shim = nix::unistd::Pid::from_raw(self.shim as i32);
            nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).ok();
            self.ids.iter().for_each(|id| drop(self.containerd.delete(id)));
            remove_groups();
        }
    }
}

#[test]
fn output_waits_for_a_late_reader() {
    if shipped().is_none() {
        return wamr_testing::lacking("WAMR_TEST_SHIM, with the shipped runtime beside it");
    }
    let Some(containerd) = Containerd::new("output") else { return };
    take_events(&containerd);
    let mut client = Client::connect(&containerd.start("stays"));
    bundle(&containerd, "stays", "exec /busybox sleep 1000", false);
    client.call::<Pid>("Create", &create(&containerd, "stays")).unwrap();
    client.call::<Pid>("Start", &of("stays")).unwrap();
    let Connected { shim_pid: shim, .. } = client.call("Connect", &of("stays")).unwrap();
    let mut leftovers = Leftovers { containerd: &containerd, shim, ids: vec!["stays".to_owned()] };
    for terminal in [false, true] {
        let name = format!("c-{terminal}");
        bundle(&containerd, &name, SAID, terminal);
        leftovers.ids.push(name.clone());
        let mut own = Client::connect(&containerd.start(&name));
        let fifos = Fifos::new(&containerd, &name, terminal);
        let (stdout, stderr) = (fifos.stdout.clone(), fifos.stderr.clone());
        let request = CreateTask { stdout, stderr, terminal, ..create(&containerd, &name) };
        own.send("Create", &request);
        // Nobody else waits.
        client.call::<State>("State", &of("stays")).unwrap();
        own.receive();
        own.call::<Pid>("Start", &of(&name)).unwrap();
        assert_eq!(own.call::<Exited>("Wait", &of(&name)).unwrap().exit_status, 0);
        fifos.have_all(&name);
        remove(&mut own, &containerd, &name);

        let exec_id = format!("e-{terminal}");
        let fifos = Fifos::new(&containerd, &exec_id, terminal);
        let value = process(SAID, terminal).to_string().into_bytes();
        let request = task::ExecProcess {
            id: "stays".to_owned(),
            exec_id: exec_id.clone(),
            terminal,
            stdout: fifos.stdout.clone(),
            stderr: fifos.stderr.clone(),
            spec: Some(Any { value, ..Any::default() }),
            ..task::ExecProcess::default()
        };
        client.call::<()>("Exec", &request).unwrap();
        let process = task::ProcessRequest { id: "stays".to_owned(), exec_id: exec_id.clone() };
        client.call::<Pid>("Start", &process).unwrap();
        assert_eq!(client.call::<Exited>("Wait", &process).unwrap().exit_status, 0);
        fifos.have_all(&exec_id);
        client.call::<Deleted>("Delete", &process).unwrap();
    }
    client.call::<()>("Kill", &kill("stays", 9)).unwrap();
    client.call::<Exited>("Wait", &of("stays")).unwrap();
    remove(&mut client, &containerd, "stays");
    remove_groups();
}

#[test]
fn output_that_is_taken_away_fails_the_create() {
    let Some(containerd) = Containerd::new("taken") else { return };
    let mut client = Client::connect(&containerd.start("c"));
    bundle(&containerd, "c", SAID, false);
    let fifo = containerd.dir.path().join("out");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let stdout = fifo.display().to_string();
    client.send("Create", &CreateTask { stdout, ..create(&containerd, "c") });
    fs::remove_file(&fifo).unwrap();
    let status = client.receive().1.status.unwrap();
    assert!(status.message.contains("No such file"), "{}", status.message);
    assert_eq!(client.call::<State>("State", &of("c")), Err(NOT_FOUND));
    assert!(containerd.delete("c").status.success());
}
