//! Readiness of a service in a container: sd_notify(3) passed on to who started the runtime.
//!
//! With NOTIFY_SOCKET set, `create` mounts a directory of the container's state at /run/notify;
//! `start` and `run` listen at a socket in it and wait for `READY=1`. Only that is passed on, with
//! the PID as the host knows it: what else a container says of itself is not to be trusted.
//!
//! Source: sd_notify(3), sd_notify_barrier(3); runc's handling of NOTIFY_SOCKET.

use crate::container::Container;
use crate::error::{Act, Error, Result};
use crate::sys::process::pidfd_open;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use oci_spec::runtime::{Mount, Spec};
use std::fs::{self, Permissions};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "NOTIFY_SOCKET";
/// Where the container finds its socket.
const INSIDE: &str = "/run/notify";
const NAME: &str = "notify.sock";
/// How long who started us may take to see that the messages have arrived.
const BARRIER_PATIENCE_MS: u16 = 30_000;

/// The socket of who started the runtime, if there is one.
pub fn socket_of_host() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn directory(container: &Container) -> PathBuf {
    container.directory.join("notify")
}

/// Adds the mount and the variable of `container` to `spec`. Pure.
pub fn amend(spec: &mut Spec, container: &Container) {
    let mut mount = Mount::default();
    mount.set_destination(PathBuf::from(INSIDE));
    mount.set_typ(Some("bind".to_owned())).set_source(Some(directory(container)));
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned);
    mount.set_options(Some(options.to_vec()));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    if let Some(mut process) = spec.process().clone() {
        let mut env = process.env().clone().unwrap_or_default();
        let prefix = format!("{VARIABLE}=");
        env.retain(|entry| !entry.starts_with(&prefix));
        env.push(format!("{prefix}{INSIDE}/{NAME}"));
        process.set_env(Some(env));
        spec.set_process(Some(process));
    }
}

/// Makes the directory that is mounted. The container's root may be any user of the host, so the
/// way to it is open; state.json beside it is not.
///
/// # Errors
/// [`Error::Os`].
pub fn make_directory(container: &Container) -> Result<()> {
    let path = directory(container);
    let act = || format!("make {}", path.display());
    fs::create_dir(&path).act(act)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755)).act(act)?;
    fs::set_permissions(&container.directory, Permissions::from_mode(0o711)).act(act)
}

/// Listens for one container.
#[derive(Debug)]
pub struct Proxy {
    container: UnixDatagram,
    host: UnixAddr,
}

impl Proxy {
    /// Listens at the socket of `container`; `None` if nobody wants to know.
    ///
    /// # Errors
    /// [`Error::Os`]; [`Error::Usage`]: NOTIFY_SOCKET is no address.
    pub fn listen(container: &Container) -> Result<Option<Self>> {
        let directory = directory(container);
        let Some(host) = socket_of_host().filter(|_| directory.is_dir()) else { return Ok(None) };
        let path = directory.join(NAME);
        let act = || format!("listen at {}", path.display());
        let socket = UnixDatagram::bind(&path).act(act)?;
        fs::set_permissions(&path, Permissions::from_mode(0o777)).act(act)?;
        Ok(Some(Self { container: socket, host: address(&host)? }))
    }

    /// Waits until the container is ready, then says so to the host; or until its process `pid`
    /// has ended.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn wait(&self, pid: i32) -> Result<()> {
        let Ok(pidfd) = pidfd_open(pid) else { return Ok(()) };
        let mut buffer = [0; 4096];
        loop {
            let mut polled = [
                PollFd::new(self.container.as_fd(), PollFlags::POLLIN),
                PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut polled, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other.act(|| "wait for a message of the container".to_owned())?,
            };
            let said = polled[0].revents().is_some_and(|events| !events.is_empty());
            if !said {
                return Ok(());
            }
            let length = self.container.recv(&mut buffer);
            let length = length.act(|| "receive a message of the container".to_owned())?;
            if let Some(line) = ready_line(&buffer[..length]) {
                return self.tell(line, pid);
            }
        }
    }

    fn tell(&self, ready: &[u8], pid: i32) -> Result<()> {
        let socket = UnixDatagram::unbound().act(|| "make a socket".to_owned())?;
        let send = |text: &[u8], rights: &[ControlMessage]| {
            let flags = MsgFlags::MSG_NOSIGNAL;
            sendmsg(socket.as_raw_fd(), &[IoSlice::new(text)], rights, flags, Some(&self.host))
                .map(drop)
                .act(|| format!("tell {VARIABLE} that the container is ready"))
        };
        send(&[ready, b"\n"].concat(), &[])?;
        send(format!("MAINPID={pid}\n").as_bytes(), &[])?;
        // Who reads the messages must not find their sender gone: it closes the pipe when it has
        // come to this one.
        let (reader, writer): (OwnedFd, OwnedFd) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).act(|| "make a pipe".to_owned())?;
        send(b"BARRIER=1", &[ControlMessage::ScmRights(&[writer.as_raw_fd()])])?;
        drop(writer);
        await_end(reader.as_fd())
    }
}

fn await_end(reader: BorrowedFd) -> Result<()> {
    // Nothing is ever written: the only event is the end of the other side.
    let mut polled = [PollFd::new(reader, PollFlags::empty())];
    poll(&mut polled, PollTimeout::from(BARRIER_PATIENCE_MS))
        .map(drop)
        .act(|| "wait until the messages were read".to_owned())
}

/// The line of a message that says whether the service is ready. Pure.
fn ready_line(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))
}

/// The address of a path, or of an abstract name that is written with `@`.
fn address(path: &Path) -> Result<UnixAddr> {
    use std::os::unix::ffi::OsStrExt;
    let made = match path.as_os_str().as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name),
        [b'/', ..] => UnixAddr::new(path),
        _ => return Err(Error::Usage(format!("{VARIABLE}={} is no address", path.display()))),
    };
    made.act(|| format!("use {VARIABLE}={}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readiness_is_passed_on() {
        for (message, want) in [
            (&b"READY=1"[..], Some(&b"READY=1"[..])),
            (b"STATUS=x\nREADY=1\nMAINPID=1\n", Some(b"READY=1")),
            (b"MAINPID=1\nWATCHDOG=1", None),
            (b"XREADY=1", None),
            (b"", None),
        ] {
            assert_eq!(ready_line(message), want, "{message:?}");
        }
    }

    #[test]
    fn the_container_gets_a_socket_of_its_own() {
        let json = r#"{"ociVersion": "1.2.0", "process": {"user": {"uid": 0, "gid": 0},
            "args": ["x"], "cwd": "/", "env": ["A=1", "NOTIFY_SOCKET=/host"]}}"#;
        let mut spec: Spec = serde_json::from_str(json).unwrap();
        amend(&mut spec, &Container::new(Path::new("/state"), "c").unwrap());
        let got = serde_json::to_value(&spec).unwrap();
        let env = serde_json::json!(["A=1", "NOTIFY_SOCKET=/run/notify/notify.sock"]);
        assert_eq!(got["process"]["env"], env);
        assert_eq!(got["mounts"][0]["source"], "/state/c/notify");
    }

    #[test]
    fn the_host_is_told_with_its_own_pid() {
        let place = tempfile::tempdir().unwrap();
        let host = UnixDatagram::bind(place.path().join("host")).unwrap();
        let inside = place.path().join("inside");
        let container = UnixDatagram::bind(&inside).unwrap();
        let proxy = Proxy { container, host: address(&place.path().join("host")).unwrap() };
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"STATUS=warming up", &inside).unwrap();
        sender.send_to(b"MAINPID=1\nREADY=1\n", &inside).unwrap();
        let pid = std::process::id() as i32;
        let waiting = std::thread::spawn(move || proxy.wait(pid).unwrap());
        let mut got = Vec::new();
        for _ in 0..3 {
            let mut buffer = [0; 64];
            // Without room for the descriptor of the last one the kernel closes it: the barrier.
            let length = host.recv(&mut buffer).unwrap();
            got.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert_eq!(got, ["READY=1\n".to_owned(), format!("MAINPID={pid}\n"), "BARRIER=1".into()]);
        waiting.join().unwrap();
        assert!(address(Path::new("relative")).is_err());
        assert!(address(Path::new("@abstract")).is_ok());
    }
}
