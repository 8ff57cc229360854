//! The agent inside a virtual machine: runs the commands that come through its ports.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::frame::{Frame, Nonce, PAYLOAD_BYTES_MAX, Task, skip_to_hello};
use super::{PORTS, port_name};
use crate::layout::{ADMIN_KUBECONFIG, PATH};

/// Where the kernel lists ports. Source: drivers/char/virtio_console.c, `name`.
const PORT_CLASS: &str = "/sys/class/virtio-ports";
/// While nobody is connected, reading a port returns at once. Looking seldom keeps it calm.
const IDLE: Duration = Duration::from_millis(250);
/// A shell's exit status for "cannot be executed".
const CANNOT_EXECUTE: i32 = 126;

/// Serves all ports for ever.
///
/// # Errors
/// A port is missing: this is no machine of the lab.
pub fn serve() -> Result<()> {
    let ports: Result<Vec<PathBuf>> =
        (0..PORTS).map(|index| find_port(&port_name(index))).collect();
    let ports = ports?;
    thread::scope(|scope| {
        for port in &ports {
            scope.spawn(move || {
                loop {
                    // A port holds what the last conversation left until it is closed.
                    if let Err(error) = open(port).and_then(|port| converse(&port)) {
                        eprintln!("{}: {error}", port.display());
                    }
                    thread::sleep(IDLE);
                }
            });
        }
    });
    Ok(())
}

fn find_port(name: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(PORT_CLASS)
        .into_diagnostic()
        .wrap_err_with(|| format!("list {PORT_CLASS}: is this a machine of the lab?"))?;
    for entry in entries.filter_map(Result::ok) {
        if fs::read_to_string(entry.path().join("name")).is_ok_and(|text| text.trim() == name) {
            return Ok(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    Err(miette!("no port in {PORT_CLASS} is called {name}"))
}

fn open(port: &PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(port)
}

/// One conversation: a greeting, a task, its output. It ends when the other side hangs up.
pub(super) fn converse(port: &File) -> io::Result<()> {
    let mut from = Waiting(port);
    let nonce = match skip_to_hello(&mut from) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        other => other?,
    };
    let mut nonce = nonce;
    Frame::Hello(nonce).write(&mut &*port)?;
    let task = loop {
        match Frame::read(&mut from)? {
            Frame::Start(task) => break task,
            // The lab greets until it is heard.
            Frame::Hello(again) if again == nonce => {}
            // It hung up before a task, and another one is there already.
            Frame::Hello(another) => {
                nonce = another;
                Frame::Hello(nonce).write(&mut &*port)?;
            }
            other => return Err(io::Error::other(format!("{other:?} before a task"))),
        }
    };
    match start(&task) {
        Ok(child) => attend(port, child, nonce),
        Err(error) => {
            let text = format!("start {}: {error}\n", task.argv.join(" "));
            Frame::Errors(text.into_bytes()).write(&mut &*port)?;
            Frame::Exit(CANNOT_EXECUTE).write(&mut &*port)
        }
    }
}

fn start(task: &Task) -> io::Result<Child> {
    let none = || io::Error::from(io::ErrorKind::InvalidInput);
    let (program, arguments) = task.argv.split_first().ok_or_else(none)?;
    Command::new(program)
        .args(arguments)
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("KUBECONFIG", ADMIN_KUBECONFIG)
        .current_dir("/root")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Carries streams between the program and the port until it ended and all its output is sent.
fn attend(port: &File, mut child: Child, nonce: Nonce) -> io::Result<()> {
    let group = Pid::from_raw(child.id() as i32);
    let (outgoing, frames) = channel();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let errors = outgoing.clone();
    let pumps = [
        thread::spawn(move || pump(stdout, &outgoing, Frame::Output)),
        thread::spawn(move || pump(stderr, &errors, Frame::Errors)),
    ];
    let incoming = port.try_clone()?;
    // It ends when the other side hangs up; nothing waits for it while that side is there.
    let feeder = thread::spawn(move || feed(&incoming, stdin, nonce));
    let sent = send_all(port, &frames, &|| feeder.is_finished());
    if sent.is_err() {
        // Nobody listens any more: neither to what the program started.
        killpg(group, Signal::SIGKILL).ok();
    }
    drop(frames);
    let status = child.wait()?;
    for pump in pumps {
        drop(pump.join());
    }
    sent?;
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(CANNOT_EXECUTE);
    Frame::Exit(code).write(&mut &*port)?;
    // The other side reads the status and hangs up, which ends the feeder.
    drop(feeder.join());
    Ok(())
}

fn pump(stream: Option<impl Read>, frames: &Sender<Frame>, kind: fn(Vec<u8>) -> Frame) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; PAYLOAD_BYTES_MAX];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        if frames.send(kind(chunk[..count].to_vec())).is_err() {
            return;
        }
    }
}

/// Sends what the pumps bring until both are done.
fn send_all(port: &File, frames: &Receiver<Frame>, gone: &dyn Fn() -> bool) -> io::Result<()> {
    use std::sync::mpsc::RecvTimeoutError;
    loop {
        match frames.recv_timeout(Duration::from_millis(200)) {
            Ok(frame) if !gone() => frame.write(&mut &*port)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(_) | Err(RecvTimeoutError::Timeout) if gone() => {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Hands the program its input, until the other side hangs up or another one greets: to that one
/// the port is opened anew.
fn feed(port: &File, stdin: Option<impl Write>, nonce: Nonce) {
    let mut stdin = stdin;
    let mut from = Waiting(port);
    while let Ok(frame) = Frame::read(&mut from) {
        match frame {
            Frame::Input(bytes) if !bytes.is_empty() => {
                // A program that closed its input does not want the rest.
                if stdin.as_mut().is_some_and(|stdin| stdin.write_all(&bytes).is_err()) {
                    stdin = None;
                }
            }
            Frame::Hello(another) if another != nonce => return,
            // A late greeting.
            Frame::Hello(_) => {}
            _ => stdin = None,
        }
    }
}

/// Reads a port, and waits while there is nothing: zero bytes mean that nobody is connected.
struct Waiting<'a>(&'a File);

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::NONE)?;
        self.0.read(buffer)
    }
}
