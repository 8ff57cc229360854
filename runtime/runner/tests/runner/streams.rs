//! Standard streams that the guest does not want to block on, whatever is behind them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use wamr_plan::Plan;

use crate::support::{Handover, Running, compiled, plan};

fn handover(module: &[u8], act: &str) -> Handover {
    Handover::new(module, Plan { args: vec![b"/streams.wasm".to_vec(), act.into()], ..plan() })
}

/// What the guest's standard input is, and the other end of it.
fn inputs() -> [(&'static str, OwnedFd, Box<dyn Write>); 3] {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let (socket, peer) = UnixStream::pair().expect("a pair of sockets");
    let terminal = openpty(None, None).expect("a terminal");
    [
        ("pipe", reader.into(), Box::new(writer)),
        ("socket", socket.into(), Box::new(peer)),
        ("terminal", terminal.slave, Box::new(File::from(terminal.master))),
    ]
}

fn is_nonblocking(file: impl AsFd) -> bool {
    let flags = fcntl(file, FcntlArg::F_GETFL).expect("an open file");
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

#[test]
fn standard_input_is_read_when_something_has_come() {
    let Some(module) = compiled("streams") else { return };
    for (case, input, mut writer) in inputs() {
        let ours = input.try_clone().expect("a descriptor");
        let handover = handover(&module, "read");
        let mut command = handover.command(&[]);
        command.stdin(Stdio::from(input)).stdout(Stdio::piped());
        let mut running = Running(command.spawn().expect("the runner starts"));
        drop(command);
        let stdout = running.0.stdout.take().expect("a pipe was asked for");
        let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("text"));
        let mut line = || lines.next().unwrap_or_default();
        let kind = match case {
            "pipe" => 0,
            "terminal" => 2,
            _ => 6,
        };
        assert_eq!(line(), format!("waiting {kind}"), "{case}");
        // Others have the same open file: a terminal is their output too.
        assert!(!is_nonblocking(&ours), "{case}");
        drop(ours);
        for text in ["one", "two"] {
            writeln!(writer, "{text}").expect("the guest reads");
            assert_eq!(line(), text, "{case}");
        }
        if case == "terminal" {
            writer.write_all(b"\x04").expect("the guest reads");
        } else {
            drop(writer);
        }
        let status = running.0.wait().expect("a child of this process");
        assert_eq!((line(), status.code()), (String::new(), Some(0)), "{case}");
    }
}

#[test]
fn standard_input_may_be_a_file() {
    let Some(module) = compiled("streams") else { return };
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(b"content\n").expect("a writable file");
    for (act, input, want) in [
        ("read", file.try_clone().expect("a descriptor"), "ready 4\ncontent\n"),
        ("read", File::open("/dev/null").expect("/dev/null"), "ready 2\n"),
        ("again", file.try_clone().expect("a descriptor"), ""),
    ] {
        file.rewind().expect("a file");
        let handover = handover(&module, act);
        let output = handover.command(&[]).stdin(Stdio::from(input)).output();
        let output = output.expect("the runner starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), &*text), (Some(0), want), "{act}");
    }
}

#[test]
fn standard_output_is_written_when_there_is_room() {
    let Some(module) = compiled("streams") else { return };
    let (socket, peer) = UnixStream::pair().expect("a pair of sockets");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let outputs: [(&str, OwnedFd, Box<dyn Read>); 2] =
        [("a pipe", writer.into(), Box::new(reader)), ("a socket", socket.into(), Box::new(peer))];
    for (case, output, mut reader) in outputs {
        let handover = handover(&module, "write");
        let mut command = handover.command(&[]);
        command.stdout(Stdio::from(output)).stderr(Stdio::piped());
        let mut running = Running(command.spawn().expect("the runner starts"));
        drop(command);
        let mut line = String::new();
        let stderr = running.0.stderr.take().expect("a pipe was asked for");
        BufReader::new(stderr).read_line(&mut line).expect("text");
        assert_eq!(line, "full\n", "{case}");
        let mut written = Vec::new();
        reader.read_to_end(&mut written).expect("the guest's bytes");
        let status = running.0.wait().expect("a child of this process");
        assert_eq!((written.len(), status.code()), (1 << 20, Some(0)), "{case}");
    }
}

/// Go's runtime lets no stream block, and dies if its last words do not go through.
#[test]
fn standard_error_takes_all_that_is_written() {
    let Some(module) = compiled("streams") else { return };
    let output = handover(&module, "errors").command(&[]).output().expect("the runner starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), &*text), (Some(0), ""));
    assert_eq!(output.stderr.len(), 1 << 18);
}
