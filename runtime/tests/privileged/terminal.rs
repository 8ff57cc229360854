//! Terminals: sent to an engine, or relayed by a runtime in the foreground.

use super::container::{Container, host_shell, is_ours, skip};
use super::sys;
use serde_json::json;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

#[test]
fn the_terminal_comes_through_the_socket() {
    let Some(mut container) = Container::shell("test -t 0 && readlink /proc/self/fd/1") else {
        return;
    };
    container.set("/process/terminal", json!(true));
    let path = container.bundle.path().join("console");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let made = container.create(&["--console-socket", path.to_str().unwrap()]);
    assert_eq!(made.status, 0, "{made:?}");
    let (stream, _) = listener.accept().unwrap();
    let master = receive(&stream);
    container.must(&["start"], &[]);
    container.wait_stopped();
    let mut text = [0; 256];
    let length = nix::unistd::read(&master, &mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text[..length]).trim(), "/dev/pts/0");
}

/// The descriptor that the runtime sends.
pub fn receive(stream: &std::os::unix::net::UnixStream) -> OwnedFd {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::AsRawFd;
    let mut name = [0; 256];
    let mut parts = [std::io::IoSliceMut::new(&mut name)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let fds = message.cmsgs().unwrap().find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    sys::own_received(fds.unwrap()[0])
}

#[test]
fn it_has_the_size_that_is_asked_for() {
    if !is_ours() {
        return skip("others insist on a terminal of their own in the foreground");
    }
    let Some(mut container) = Container::shell("stty size") else { return };
    container.set("/process/terminal", json!(true));
    container.set("/process/consoleSize", json!({"height": 41, "width": 121}));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "41 121\r\n"), "{ran:?}");
}

/// A runtime in the foreground, on a terminal of the test's.
#[test]
fn a_runtime_in_the_foreground_relays() {
    // The first size may come late, and a read that its signal interrupts has no line.
    let script = "trap 'stty size' WINCH; trap 'echo bye; exit 7' TERM; stty size; \
                  until read line; do :; done; echo \"got $line\"; \
                  while :; do sleep 0.1; done";
    let Some(mut container) = Container::shell(script) else { return };
    container.set("/process/terminal", json!(true));
    container.write_config();
    let size = nix::pty::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut runtime = Command::new(container.runtime())
        .arg("--root")
        .arg(container.state_root())
        .args(["run", "--bundle", container.bundle.path().to_str().unwrap(), &container.id])
        .stdin(slave())
        .stdout(slave())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut expect = |text: &str| {
        while !seen.contains(text) {
            let mut bytes = [0; 256];
            let length = nix::unistd::read(&pty.master, &mut bytes).unwrap();
            seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    };
    expect("40 100");
    nix::unistd::write(&pty.master, b"a line\n").unwrap();
    expect("got a line");
    let name = std::fs::read_link(format!("/proc/{}/fd/0", runtime.id())).unwrap();
    host_shell(&format!("stty rows 50 cols 120 < {}", name.display()));
    let signal = |signal| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(runtime.id() as i32), signal).unwrap();
    };
    signal(nix::sys::signal::Signal::SIGWINCH);
    expect("50 120");
    signal(nix::sys::signal::Signal::SIGTERM);
    expect("bye");
    assert_eq!(runtime.wait().unwrap().code(), Some(7));
    // The caller's terminal is as it was: it echoes and turns newlines again.
    let modes = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
    assert!(modes.local_flags.contains(nix::sys::termios::LocalFlags::ECHO));
    container.assert_gone();
}
