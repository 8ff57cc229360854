//! What hangs: a process of the shim, and the storage of one pod.

use std::os::fd::AsRawFd;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill as signal};
use nix::sys::stat::Mode;
use nix::unistd::{Pid as Process, mkfifo};

use super::*;

#[test]
fn a_process_that_is_stopped_gets_no_new_pods() {
    let Some(containerd) = Containerd::new("stopped") else { return };
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    let made: Pid = client.call("Create", &create(&containerd, "p")).unwrap();
    let process = Process::from_raw(made.pid as i32);
    signal(process, Signal::SIGSTOP).unwrap();
    // containerd copies to its own log what shims write there.
    let log = containerd.bundle("q").join("log");
    mkfifo(&log, Mode::S_IRWXU).unwrap();
    let mut read = fs::OpenOptions::new().read(true).write(true).open(&log).unwrap();

    let other = containerd.start("q");
    assert_ne!(other, socket);
    let mut said = [0; 1000];
    let count = read.read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..count]);
    assert!(said.contains(&format!("process {}", made.pid)), "{said}");
    let told = fs::read_to_string(socket.with_file_name("log")).unwrap();
    assert_eq!(told, said);
    // The containers of its pods cannot go elsewhere.
    let member = containerd.dir.path().join("m");
    fs::create_dir_all(&member).unwrap();
    let config = SANDBOX.replace(r#"type": "sandbox""#, r#"type": "container""#);
    let of_pod = r#""io.kubernetes.cri.sandbox-id": "p", "io.kubernetes.cri.container"#;
    let config = config.replace(r#""io.kubernetes.cri.container"#, of_pod);
    fs::write(member.join("config.json"), config).unwrap();
    let refused = containerd.command("m", "start").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("kill it"), "{said}");

    // It comes back: nothing of it was lost, and it takes pods again after a while.
    signal(process, Signal::SIGCONT).unwrap();
    client.call::<State>("State", &of("p")).unwrap();
    let hangs = socket.with_file_name("hangs");
    assert!(hangs.exists());
    fs::remove_file(hangs).unwrap();
    assert_eq!(containerd.start("r"), socket);
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("p")).unwrap();
}

/// A file system whose program never says a word, as a dead server of NFS.
struct Dead {
    at: PathBuf,
    device: Option<fs::File>,
}

impl Dead {
    fn mounted(at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        let device = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("dead"), &at, Some("fuse"), flags, Some(options.as_str())).unwrap();
        Self { at, device: Some(device) }
    }

    /// Whoever waits for it gets an error.
    fn revive(&mut self) {
        self.device = None;
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        self.revive();
        umount2(&self.at, MntFlags::MNT_DETACH).ok();
    }
}

#[test]
fn a_pod_whose_storage_is_dead_harms_no_other() {
    let Some(containerd) = Containerd::new("dead") else { return };
    if !Path::new("/dev/fuse").exists() {
        return wamr_testing::lacking("/dev/fuse");
    }
    let mut dead = Dead::mounted(containerd.dir.path().join("dead"));
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    client.call::<Pid>("Create", &create(&containerd, "p")).unwrap();
    let bundle = containerd.bundle("alone");
    fs::write(bundle.join("config.json"), r#"{"ociVersion": "1.0.2"}"#).unwrap();
    assert_eq!(containerd.start("alone"), socket);
    let rootfs = vec![task::Mount {
        kind: "bind".to_owned(),
        source: dead.at.join("layer").display().to_string(),
        target: String::new(),
        options: vec!["rbind".to_owned()],
    }];
    let mut waiting = Client::connect(&socket);
    let request = CreateTask { rootfs, ..create(&containerd, "alone") };
    let sent = waiting.send("Create", &request);

    // Its neighbours are served, and new ones come.
    eventually("the other is being made", || client.call::<State>("State", &of("alone")).is_ok());
    client.call::<Pid>("Start", &of("p")).unwrap();
    assert_eq!(containerd.start("q"), socket);
    client.call::<Pid>("Create", &create(&containerd, "q")).unwrap();
    client.call::<()>("Kill", &kill("q", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("q")).unwrap();

    // Who has asked for it is told.
    let (stream, answer) = waiting.receive();
    let status = answer.status.unwrap();
    assert_eq!(stream, sent);
    assert!(status.message.contains("is the storage there?"), "{status:?}");
    assert_eq!(client.call::<State>("State", &of("alone")), Err(NOT_FOUND));
    assert!(containerd.delete("alone").status.success());
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("p")).unwrap();
    dead.revive();
    eventually("the process ends when the storage is back", || !socket.exists());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&bundle.display().to_string()), "{mounts}");
}
