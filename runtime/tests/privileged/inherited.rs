//! What a container inherits from the caller: descriptors, sockets to listen at, a socket to report
//! readiness to; and what it does not: the keyring.

use super::container::{Container, host_shell, is_ours, skip, wait_until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

#[test]
fn sockets_to_listen_at_and_descriptors_behind_them() {
    let script = "echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4; ls /proc/self/fd";
    let Some(container) = Container::shell(script) else { return };
    for name in ["first", "second"] {
        fs::write(container.bundle.path().join(name), format!("{name}\n")).unwrap();
    }
    container.write_config();
    let line = format!(
        "cd {}; export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<first 4<second 5<first; \
         exec {} --root {} run --preserve-fds 1 {}",
        container.bundle.path().display(),
        container.runtime().display(),
        container.state_root().display(),
        container.id
    );
    let ran = host_shell(&line);
    // The third one is not inherited; 5 is the directory that ls reads.
    assert_eq!(ran.stdout, "1 1\nfirst\nsecond\n0\n1\n2\n3\n4\n5\n", "{ran:?}");
}

#[test]
fn readiness_is_reported() {
    let Some(mut container) = Container::shell("echo $NOTIFY_SOCKET; exec sleep 1000") else {
        return;
    };
    let path = container.bundle.path().join("host");
    let host = UnixDatagram::bind(&path).unwrap();
    host.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    container.wrap(&["env", &format!("NOTIFY_SOCKET={}", path.display())]);
    assert_eq!(container.create(&[]).status, 0);
    let pid = container.state()["pid"].to_string();
    let mut start = Command::new(container.runtime())
        .env("NOTIFY_SOCKET", &path)
        .arg("--root")
        .arg(container.state_root())
        .args(["start", &container.id])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let inside = format!("/proc/{pid}/root/run/notify/notify.sock");
    wait_until("the socket in the container", || fs::exists(&inside).unwrap());
    assert!(start.try_wait().unwrap().is_none(), "start did not wait");
    UnixDatagram::unbound().unwrap().send_to(b"READY=1\nSTATUS=up", &inside).unwrap();
    let mut said = Vec::new();
    for _ in 0..3 {
        let mut buffer = [0; 64];
        let length = host.recv(&mut buffer).unwrap();
        said.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
    }
    assert_eq!(said, ["READY=1".to_owned(), format!("MAINPID={pid}"), "BARRIER=1".to_owned()]);
    assert!(start.wait().unwrap().success());
    // start waits for the datagram, not for the program.
    wait_until("it says its socket", || container.output("stdout") == "/run/notify/notify.sock\n");
    let exists = fs::metadata(container.state_root().join(&container.id).join("state.json"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&exists.unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_service_that_ends_before_it_is_ready() {
    let Some(mut container) = Container::shell("exit 3") else { return };
    let path = container.bundle.path().join("host");
    let _host = UnixDatagram::bind(&path).unwrap();
    container.wrap(&["env", &format!("NOTIFY_SOCKET={}", path.display())]);
    let ran = container.run();
    assert_eq!(ran.status, 3, "{ran:?}");
    container.assert_gone();
}

#[test]
fn a_keyring_of_its_own() {
    if !is_ours() {
        return skip("others name it differently");
    }
    let Some(container) = Container::shell("grep -c _ses /proc/keys; exec sleep 1000") else {
        return;
    };
    let keys = |container: &Container| {
        let ran = container.verb(&["exec"], &["grep", "_ses", "/proc/keys"]);
        let ring = format!("_ses.{}", container.id);
        let lines = ran.stdout.lines().filter(|line| line.contains(&ring));
        let rings = lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
        rings.collect::<Vec<_>>()
    };
    if fs::read_to_string("/proc/keys").is_err() {
        return wamr_testing::skip("keyrings");
    }
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    let (first, second) = (keys(&container), keys(&container));
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first, second, "one ring for all of a container");
    let Some(container) = Container::shell("exec sleep 1000") else { return };
    assert_eq!(container.create(&["--no-new-keyring"]).status, 0);
    container.must(&["start"], &[]);
    assert!(keys(&container).is_empty());
}

#[test]
fn a_pidfd_for_who_asks() {
    let Some(container) = Container::shell("exec sleep 1000") else { return };
    let path = container.bundle.path().join("pidfd");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for verb in ["create", "exec"] {
        let flags = ["--pidfd-socket", path.to_str().unwrap()];
        let made = if verb == "create" {
            container.create(&flags)
        } else {
            container.must(&["start"], &[]);
            container.verb(&[&["exec"], &flags[..]].concat(), &["true"])
        };
        assert_eq!(made.status, 0, "{made:?}");
        let (stream, _) = listener.accept().unwrap();
        let pidfd = super::terminal::receive(&stream);
        let info = std::os::fd::AsRawFd::as_raw_fd(&pidfd);
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{info}")).unwrap();
        assert!(info.contains("Pid:"), "{info}");
        if verb == "create" {
            assert!(info.contains(&container.state()["pid"].to_string()), "{info}");
        }
    }
}
