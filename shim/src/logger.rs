//! Loggers that are programs: `binary:///usr/bin/logger?key=value`, and `binary-v2:`.
//!
//! Such a program gets standard output of a container as descriptor 3, standard error as 4, and
//! closes 5 when the container may start; with `binary-v2` it first writes a byte there, which
//! tells a program that is ready from one that has failed. It ends when the container has.
//!
//! Source: containerd core/runtime/v2/README.md, "Logging", and core/runtime/v2/logging.

use crate::error::{Code, Failure, Result, Tried};
use crate::stdio::StreamNames;
use crate::sys;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::pipe2;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, and for whom it is run.
#[derive(Debug, PartialEq, Eq)]
pub struct Logger {
    program: PathBuf,
    arguments: Vec<String>,
    must_say_so: bool,
    id: String,
    namespace: String,
}

/// Where a container writes to.
#[derive(Debug)]
pub struct Writers {
    /// Its standard output.
    pub output: OwnedFd,
    /// Its standard error.
    pub error: OwnedFd,
}

/// Where a logger reads that.
#[derive(Debug)]
pub struct Readers {
    /// Standard output.
    pub output: OwnedFd,
    /// Standard error.
    pub error: OwnedFd,
}

/// Pipes from a container to its logger.
///
/// # Errors
/// No descriptor is left.
pub fn pipes() -> Result<(Writers, Readers)> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).tried("make a pipe to", Path::new("the logger"));
    let ((output, to_output), (error, to_error)) = (pipe()?, pipe()?);
    Ok((Writers { output: to_output, error: to_error }, Readers { output, error }))
}

impl Logger {
    /// The program that standard output is to go to, if it is one. `id` is the process' name.
    ///
    /// # Errors
    /// A URI that names no program.
    pub fn of(names: &StreamNames, id: &str, namespace: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = names.stdout.split_once("://") else { return Ok(None) };
        if scheme != "binary" && scheme != "binary-v2" {
            return Ok(None);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let program = PathBuf::from(decoded(path, false));
        if !program.is_absolute() {
            let message = format!("{}: it has to be {scheme}:///path/of/program", names.stdout);
            return Err(Failure::new(Code::InvalidArgument, message));
        }
        let words = query.split('&').flat_map(|pair| pair.splitn(2, '='));
        let arguments = words.map(|word| decoded(word, true)).filter(|word| !word.is_empty());
        Ok(Some(Self {
            program,
            arguments: arguments.collect(),
            must_say_so: scheme == "binary-v2",
            id: id.to_owned(),
            namespace: namespace.to_owned(),
        }))
    }

    /// Runs it, and waits until it is ready. To be called in a process of its own.
    ///
    /// # Errors
    /// It cannot be run, or has ended before it was ready.
    pub fn run(&self, readers: &Readers) -> Result<()> {
        let (ready, say_ready) = pipe2(OFlag::O_CLOEXEC).tried("make a pipe to", &self.program)?;
        let signals = SigSet::from(Signal::SIGCHLD);
        signals.thread_unblock().tried("unblock signals of", &self.program)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("CONTAINER_ID", &self.id)
            .env("CONTAINER_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let fds = [readers.output.as_fd(), readers.error.as_fd(), say_ready.as_fd()];
        let in_the_way = sys::hand_over(&mut command, fds).tried("hand pipes to", &self.program)?;
        command.spawn().tried("run the logger", &self.program)?;
        drop((in_the_way, say_ready));
        let mut said = [0];
        let count = File::from(ready).read(&mut said).tried("wait for", &self.program)?;
        if count == 0 && self.must_say_so {
            let message = format!("the logger {} has not become ready", self.program.display());
            return Err(Failure::new(Code::Unknown, message));
        }
        Ok(())
    }
}

/// A part of a URI; in its query a plus is a space. What is no escape stays as it is.
fn decoded(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        let escaped = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, escaped) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                rest = &more[2..];
            }
            (b'+', _) if is_query => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stdout: &str) -> Result<Option<Logger>> {
        let names = StreamNames { stdout: stdout.into(), ..StreamNames::default() };
        Logger::of(&names, "c", "k8s.io")
    }

    #[test]
    fn programs_and_their_arguments() {
        for (uri, program, arguments, must_say_so) in [
            ("binary:///bin/logger", "/bin/logger", &[][..], false),
            (
                "binary-v2:///a%20b/c?id=x&flag&to=1%2b2+3",
                "/a b/c",
                &["id", "x", "flag", "to", "1+2 3"],
                true,
            ),
            ("binary:///a+b%zz?=", "/a+b%zz", &[], false),
        ] {
            let found = of(uri).unwrap().unwrap();
            assert_eq!((&*found.program, found.must_say_so), (Path::new(program), must_say_so));
            assert_eq!(found.arguments, arguments, "{uri}");
        }
    }

    #[test]
    fn what_is_no_program() {
        for uri in ["", "/run/fifo", "fifo:///run/fifo", "file:///log"] {
            assert_eq!(of(uri), Ok(None), "{uri}");
        }
        for uri in ["binary://", "binary://logger", "binary-v2://?a=b"] {
            assert_eq!(of(uri).unwrap_err().code, Code::InvalidArgument, "{uri}");
        }
    }
}
