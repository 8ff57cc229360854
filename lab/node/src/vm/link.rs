//! The lab's side of a machine's ports: runs commands through the agent.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::fcntl::{Flock, FlockArg};

use super::PORTS;
use super::frame::{Frame, Nonce, PAYLOAD_BYTES_MAX, Task};
use super::qemu::socket_name;

/// How often a greeting is repeated, and how often a caller may say that it has had enough.
const TICK: Duration = Duration::from_millis(500);
/// How long a free port may take to be found.
const PORT_LIMIT: Duration = Duration::from_secs(10);

/// Where a program's streams go.
pub struct Streams<'a> {
    /// Its standard input; none is an empty one.
    pub input: Option<Box<dyn Read + Send>>,
    /// Takes its standard output.
    pub output: &'a mut dyn Write,
    /// Takes its standard error.
    pub errors: &'a mut dyn Write,
}

/// An open port, held against other processes of the lab.
pub struct Link {
    stream: UnixStream,
    _turn: Flock<File>,
}

impl Link {
    /// Takes a free port of the machine whose run directory is `run_dir`.
    ///
    /// # Errors
    /// The machine is gone, or all ports stay busy.
    pub fn open(run_dir: &Path) -> Result<Self> {
        let begun = Instant::now();
        loop {
            for index in 0..PORTS {
                if let Some(turn) = take_turn(run_dir, index)? {
                    let socket = run_dir.join(socket_name(index));
                    let stream = UnixStream::connect(&socket)
                        .into_diagnostic()
                        .wrap_err_with(|| format!("connect to {}", socket.display()))?;
                    return Ok(Self { stream, _turn: turn });
                }
            }
            if begun.elapsed() > PORT_LIMIT {
                return Err(miette!("all {PORTS} ports of the machine are busy"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a program to its end and returns its exit status, 128 + N for signal N.
    ///
    /// # Errors
    /// The machine ended, or `enough` said so, which ends the program, too.
    pub fn run(
        self,
        argv: &[&str],
        streams: Streams<'_>,
        enough: &dyn Fn() -> bool,
    ) -> Result<i32> {
        let shown = || format!("run {} in the machine", argv.join(" "));
        converse(&self.stream, argv, streams, enough).into_diagnostic().wrap_err_with(shown)
    }

    /// True if the agent answers within `limit`.
    pub fn is_answered(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        greet(&self.stream, &|| begun.elapsed() > limit).is_ok()
    }
}

fn take_turn(run_dir: &Path, index: usize) -> Result<Option<Flock<File>>> {
    let path = run_dir.join(format!("port-{index}.lock"));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.into_diagnostic().wrap_err_with(|| format!("open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(turn) => Ok(Some(turn)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(miette!("lock {}: {errno}", path.display())),
    }
}

/// Reads that give up when the caller has had enough; no frame is lost to a timeout.
struct Patient<'a> {
    stream: &'a UnixStream,
    enough: &'a dyn Fn() -> bool,
    /// Called at every timeout.
    on_tick: &'a dyn Fn() -> io::Result<()>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if (self.enough)() {
                return Err(io::Error::new(ErrorKind::TimedOut, "it was told to stop"));
            }
            match (&mut &*self.stream).read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => (self.on_tick)()?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

fn nonce() -> io::Result<Nonce> {
    let mut nonce = Nonce::default();
    File::open("/dev/urandom")?.read_exact(&mut nonce)?;
    Ok(nonce)
}

/// Greets until the agent answers: it may not listen yet, or still be ending something else.
fn greet(stream: &UnixStream, enough: &dyn Fn() -> bool) -> io::Result<()> {
    stream.set_read_timeout(Some(TICK))?;
    let nonce = nonce()?;
    let hello = || Frame::Hello(nonce).write(&mut &*stream);
    hello()?;
    let mut from = Patient { stream, enough, on_tick: &hello };
    while super::frame::skip_to_hello(&mut from)? != nonce {}
    Ok(())
}

fn converse(
    stream: &UnixStream,
    argv: &[&str],
    streams: Streams<'_>,
    enough: &dyn Fn() -> bool,
) -> io::Result<i32> {
    greet(stream, enough)?;
    let task = Task { argv: argv.iter().map(|&word| word.to_owned()).collect() };
    Frame::Start(task).write(&mut &*stream)?;
    let sink = stream.try_clone()?;
    // Not joined: it may wait for a terminal for ever.
    thread::spawn(move || drop(send_input(&sink, streams.input)));
    let mut from = Patient { stream, enough, on_tick: &|| Ok(()) };
    loop {
        match Frame::read(&mut from)? {
            Frame::Output(bytes) => {
                streams.output.write_all(&bytes)?;
                streams.output.flush()?;
            }
            Frame::Errors(bytes) => {
                streams.errors.write_all(&bytes)?;
                streams.errors.flush()?;
            }
            Frame::Exit(status) => {
                // The clone in the sending thread must not keep the port taken.
                drop(stream.shutdown(std::net::Shutdown::Both));
                return Ok(status);
            }
            Frame::Hello(_) => {}
            other => return Err(io::Error::other(format!("the agent says {other:?}"))),
        }
    }
}

fn send_input(sink: &UnixStream, input: Option<Box<dyn Read + Send>>) -> io::Result<()> {
    if let Some(mut input) = input {
        let mut chunk = vec![0; PAYLOAD_BYTES_MAX];
        loop {
            match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => Frame::Input(chunk[..count].to_vec()).write(&mut &*sink)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    }
    Frame::Input(Vec::new()).write(&mut &*sink)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::super::agent;
    use super::*;

    /// A conversation with a real agent on a socket pair, after `remains` of an earlier one.
    fn run(argv: &[&str], input: &'static [u8], remains: &[u8]) -> (i32, String, String) {
        let (lab, machine) = UnixStream::pair().unwrap();
        (&mut &machine).write_all(remains).unwrap();
        let port = File::from(OwnedFd::from(machine));
        let agent = thread::spawn(move || agent::converse(&port));
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams =
            Streams { input: Some(Box::new(input)), output: &mut output, errors: &mut errors };
        let status = converse(&lab, argv, streams, &|| false).unwrap();
        agent.join().unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status, text(output), text(errors))
    }

    #[test]
    fn programs_run_with_their_streams_and_status() {
        let (status, output, errors) = run(&["sh", "-c", "cat; echo e >&2; exit 7"], b"in", b"");
        assert_eq!((status, output.as_str(), errors.as_str()), (7, "in", "e\n"));
        let (status, _, _) = run(&["sh", "-c", "kill -TERM $$"], b"", b"");
        assert_eq!(status, 143);
        let (status, _, errors) = run(&["/no/such/program"], b"", b"");
        assert_eq!(status, 126);
        assert!(errors.contains("No such file"), "{errors}");
    }

    #[test]
    fn remains_of_an_earlier_conversation_do_no_harm() {
        let (status, output, _) = run(&["echo", "ok"], b"", b"o\x09\0\0\0half\x00wamr-lab-");
        assert_eq!((status, output.as_str()), (0, "ok\n"));
    }

    #[test]
    fn much_output_and_unread_input_pass() {
        let input: &'static [u8] = Vec::leak(vec![b'x'; 1 << 20]);
        let (status, output, _) = run(&["sh", "-c", "head -c 3000000 /dev/zero"], input, b"");
        assert_eq!((status, output.len()), (0, 3_000_000));
    }

    #[test]
    fn one_who_hung_up_after_the_greeting_leaves_the_port_usable() {
        let (lab, machine) = UnixStream::pair().unwrap();
        let port = File::from(OwnedFd::from(machine));
        let agent = thread::spawn(move || agent::converse(&port));
        greet(&lab, &|| false).unwrap();
        let mut output = Vec::new();
        let streams = Streams { input: None, output: &mut output, errors: &mut io::sink() };
        assert_eq!(converse(&lab, &["echo", "ok"], streams, &|| false).unwrap(), 0);
        assert_eq!(output, b"ok\n");
        agent.join().unwrap().unwrap();
    }

    #[test]
    fn a_caller_that_has_had_enough_ends_the_program() {
        let (lab, machine) = UnixStream::pair().unwrap();
        let port = File::from(OwnedFd::from(machine));
        let agent = thread::spawn(move || agent::converse(&port));
        let begun = Instant::now();
        let streams = Streams { input: None, output: &mut io::sink(), errors: &mut io::sink() };
        let enough = || begun.elapsed() > Duration::from_millis(300);
        let error = converse(&lab, &["sleep", "1000"], streams, &enough).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(lab.shutdown(std::net::Shutdown::Both));
        assert!(agent.join().unwrap().is_err());
    }
}
