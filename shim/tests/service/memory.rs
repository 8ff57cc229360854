//! The promised numbers of the shim: its memory per pod, and after many pods have come and gone.

use std::os::unix::net::UnixListener;

use serde_json::json;

use super::upgrade::{another, upgraded};
use super::*;

/// Memory of its own with one pod of one container.
const MOST_WITH_A_POD_KB: u64 = 220;
/// What each further pod adds.
const MOST_PER_POD_KB: u64 = 4;
/// What it may have more, with as many pods, after [`CHURN`] pods have come and gone.
const MOST_GROWTH_KB: u64 = 24;
const PODS: usize = 20;
const CHURN: usize = 200;

/// What the shim alone has: Private_Dirty of smaps_rollup. Its program's pages are the page
/// cache's, and count as private or shared by who else happens to run it just then.
fn own_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

/// Answers every event, as containerd does: what is not answered is kept in memory.
pub fn take_events(containerd: &Containerd) {
    let listener = UnixListener::bind(containerd.dir.path().join("nobody")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_events(stream));
        }
    });
}

fn answer_events(mut stream: UnixStream) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
        while let Ok(Some(frame)) = frame::take(&mut bytes) {
            let mut answer = Vec::new();
            let response = Response::default().encode_to_vec();
            frame::put(&mut answer, frame.stream, frame::RESPONSE, &response);
            stream.write_all(&answer).unwrap();
        }
    }
}

/// A pod with a container that sleeps, and a connection for each, as containerd has them.
struct Pod<'a> {
    containerd: &'a Containerd,
    name: String,
    sandbox: Client,
    container: Client,
}

impl<'a> Pod<'a> {
    fn new(containerd: &'a Containerd, name: &str, busybox: &Path) -> (Self, u32) {
        let member = format!("{name}-c");
        let mut sandbox = Client::connect(&containerd.start(name));
        let made: Pid = sandbox.call("Create", &create(containerd, name)).unwrap();
        sandbox.call::<Pid>("Start", &of(name)).unwrap();
        let bundle = containerd.bundle(&member);
        fs::create_dir_all(bundle.join("rootfs/proc")).unwrap();
        // A link costs no page cache; the file is another's, and is not written to.
        fs::hard_link(busybox, bundle.join("rootfs/busybox")).unwrap();
        let config = config(name, made.pid).to_string();
        fs::write(bundle.join("config.json"), config).unwrap();
        let container = Client::connect(&containerd.start(&member));
        let mut pod = Self { containerd, name: name.to_owned(), sandbox, container };
        pod.container.call::<Pid>("Create", &create(containerd, &member)).unwrap();
        pod.container.call::<Pid>("Start", &of(&member)).unwrap();
        (pod, made.pid)
    }

    /// As the kubelet ends a pod.
    fn end(mut self) {
        let member = format!("{}-c", self.name);
        for (client, id) in [(&mut self.container, &member), (&mut self.sandbox, &self.name)] {
            client.call::<()>("Kill", &kill(id, 9)).unwrap();
            client.call::<Exited>("Wait", &of(id)).unwrap();
            client.call::<Deleted>("Delete", &of(id)).unwrap();
            // containerd runs it for every task of version 2.
            assert!(self.containerd.delete(id).status.success());
            fs::remove_dir_all(self.containerd.dir.path().join(id)).unwrap();
        }
        self.name.clear();
    }
}

impl Drop for Pod<'_> {
    /// After a failure: containerd would run `delete` when the shim is gone.
    fn drop(&mut self) {
        if !self.name.is_empty() {
            self.containerd.delete(&format!("{}-c", self.name));
            self.containerd.delete(&self.name);
        }
    }
}

pub fn config(pod: &str, shim_pid: u32) -> serde_json::Value {
    let of_pod = |kind: &str| json!({"type": kind, "path": format!("/proc/{shim_pid}/ns/{kind}")});
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
            "args": ["/busybox", "sleep", "1000"]},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "annotations": {"io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.sandbox-id": pod},
        "linux": {
            "cgroupsPath": format!("/wamr-shim-test-{}/{pod}", std::process::id()),
            "namespaces": [of_pod("ipc"), of_pod("uts"), {"type": "pid"}, {"type": "network"},
                {"type": "mount"}],
        },
    })
}

/// The programs that are shipped: the shim, and the runtime beside it.
pub fn shipped() -> Option<PathBuf> {
    let shim = PathBuf::from(std::env::var_os("WAMR_TEST_SHIM")?);
    shim.with_file_name("wamr-crun").is_file().then_some(shim)
}

/// What no container of this test is in any more.
pub fn remove_groups() {
    let name = format!("wamr-shim-test-{}", std::process::id());
    let tops = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    for top in tops.chain(["/sys/fs/cgroup".into()]) {
        // It is made in the hierarchies that there are.
        drop(fs::remove_dir(top.join(&name)));
    }
}

#[test]
fn its_memory_keeps_its_promise() {
    if shipped().is_none() {
        return wamr_testing::lacking("WAMR_TEST_SHIM, with the shipped runtime beside it");
    }
    let Some(containerd) = Containerd::new("memory") else { return };
    take_events(&containerd);
    let busybox = containerd.dir.path().join("busybox");
    fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
    let name = |number: usize| format!("p{number}");
    let pod = |number: usize| Pod::new(&containerd, &name(number), &busybox);

    // Stays, so that the process does not end between the others; has every kind of call behind it.
    let (first, pid) = pod(0);
    pod(1).0.end();
    let one_kb = own_kb(pid);
    let pods: Vec<_> = (1..=PODS).map(|number| pod(number).0).collect();
    let full_kb = own_kb(pid);
    pods.into_iter().for_each(Pod::end);
    let before_kb = own_kb(pid);
    for number in 0..CHURN {
        pod(1 + number % PODS).0.end();
    }
    let after_kb = own_kb(pid);
    let pods: Vec<_> = (1..=PODS).map(|number| pod(number).0).collect();
    let full_again_kb = own_kb(pid);
    let new = another(&containerd, "new");
    for program in [&new, &containerd.shim, &new] {
        upgraded(program, &containerd.home().join("test/0/socket"), pid);
    }
    let upgraded_kb = own_kb(pid);
    pods.into_iter().for_each(Pod::end);
    first.end();
    remove_groups();
    println!(
        "own kB of the shim: {one_kb} with a pod, {full_kb} with {PODS} more, {before_kb} \
         after them, {after_kb} after {CHURN}, {full_again_kb} with {PODS} more again, \
         {upgraded_kb} with them as another program"
    );
    let per_pod_kb = full_kb.saturating_sub(one_kb) / PODS as u64;
    assert!(one_kb <= MOST_WITH_A_POD_KB, "{one_kb} kB with one pod");
    assert!(per_pod_kb <= MOST_PER_POD_KB, "{per_pod_kb} kB for each pod");
    let growth_kb = after_kb.saturating_sub(before_kb).max(full_again_kb.saturating_sub(full_kb));
    assert!(growth_kb <= MOST_GROWTH_KB, "{growth_kb} kB more after {CHURN} pods");
    let most_kb = MOST_WITH_A_POD_KB + PODS as u64 * MOST_PER_POD_KB;
    assert!(upgraded_kb <= most_kb, "{upgraded_kb} kB of {most_kb} as another program");
}
