//! Terminals: sent to an engine, or relayed by a runtime in the foreground.

use super::container::Container;
use super::sys;
use serde_json::json;
use std::os::fd::OwnedFd;

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
