//! Version 3 of the task service: containerd runs the program for a pod alone, at its start and at
//! its end. Its other containers are made by calls, and end with the pod.

use super::memory::{config, remove_groups, shipped, take_events};
use super::*;

/// A pod with `members` containers that sleep: the shim's process, and theirs.
fn pod(containerd: &Containerd, name: &str, members: &[&str]) -> (u32, Vec<u32>) {
    let mut sandbox = Client::connect(&containerd.start(name));
    sandbox.service = task::SERVICE_V3;
    let made: Pid = sandbox.call("Create", &create(containerd, name)).unwrap();
    sandbox.call::<Pid>("Start", &of(name)).unwrap();
    let socket = containerd.home().join("test/0/socket");
    let member = |id: &&str| {
        let bundle = containerd.bundle(id);
        fs::create_dir_all(bundle.join("rootfs/proc")).unwrap();
        fs::copy("/bin/busybox", bundle.join("rootfs/busybox")).expect("busybox-static");
        fs::write(bundle.join("config.json"), config(name, made.pid).to_string()).unwrap();
        let mut client = Client::connect(&socket);
        client.service = task::SERVICE_V3;
        let pid: Pid = client.call("Create", &create(containerd, id)).unwrap();
        client.call::<Pid>("Start", &of(id)).unwrap();
        pid.pid
    };
    (made.pid, members.iter().map(member).collect())
}

fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that nobody has reaped has ended as well.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_pod_ends_with_its_process() {
    if shipped().is_none() {
        return wamr_testing::lacking("WAMR_TEST_SHIM, with the shipped runtime beside it");
    }
    let Some(containerd) = Containerd::new("dead-pod") else { return };
    take_events(&containerd);
    let (shim, of_p) = pod(&containerd, "p", &["p-1", "p-2"]);
    let (same, of_q) = pod(&containerd, "q", &["q-1"]);
    assert_eq!(shim, same);
    // While it serves, a `delete` for a pod is none for its containers.
    assert!(containerd.delete("p").status.success());
    assert!(of_p.iter().chain(&of_q).all(|pid| is_there(*pid)));
    fs::write(containerd.home().join("test/0/groups/p"), "").unwrap();

    let process = nix::unistd::Pid::from_raw(shim as i32);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
    let socket = containerd.home().join("test/0/socket");
    eventually("its socket answers nobody", || UnixStream::connect(&socket).is_err());
    // containerd has removed a container's bundle by then.
    fs::remove_dir_all(containerd.dir.path().join("p-2")).unwrap();
    let output = containerd.delete("p");
    assert_eq!(Deleted::decode(&*output.stdout).unwrap().exit_status, KILLED, "{output:?}");
    assert!(!of_p.iter().any(|pid| is_there(*pid)), "{of_p:?}");
    assert!(of_q.iter().all(|pid| is_there(*pid)), "another pod has its own `delete`");
    // Another process comes in its place before that.
    let next = containerd.start("again");
    assert!(containerd.delete("q").status.success());
    assert!(!of_q.iter().any(|pid| is_there(*pid)), "{of_q:?}");
    let left: Vec<_> = fs::read_dir(containerd.home().join("test/containers")).unwrap().collect();
    assert!(left.iter().flatten().all(|entry| entry.file_name() == "@seccomp"), "{left:?}");
    assert!(!containerd.home().join("test/lost").exists());
    assert!(containerd.delete("again").status.success());
    eventually("the idle process ends", || !next.exists());
    remove_groups();
}
