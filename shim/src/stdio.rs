//! A process' three streams. The process gets containerd's FIFOs themselves: nothing is copied.

use crate::error::{Code, Failure, Result, Tried};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

/// Names of the streams, as containerd gives them: FIFOs or URIs, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamNames {
    /// Standard input.
    pub stdin: Box<str>,
    /// Standard output.
    pub stdout: Box<str>,
    /// Standard error.
    pub stderr: Box<str>,
    /// Whether the three are a terminal.
    pub terminal: bool,
}

/// The three streams of a process to be.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub input: Stdio,
    /// Standard output.
    pub output: Stdio,
    /// Standard error.
    pub error: Stdio,
    /// Keeps standard input from ending before containerd has opened it, until CloseIO.
    pub keep_input: Option<OwnedFd>,
}

/// Opens what was asked for.
///
/// # Errors
/// It is not there, or is something that this shim does not write to.
pub fn open(names: &StreamNames) -> Result<Streams> {
    let (input, keep_input) = match open_input(&names.stdin)? {
        Some((file, keep)) => (file.into(), Some(keep)),
        None => (Stdio::null(), None),
    };
    let output = open_output(&names.stdout)?.map_or_else(Stdio::null, Stdio::from);
    let error = open_output(&names.stderr)?.map_or_else(Stdio::null, Stdio::from);
    Ok(Streams { input, output, error, keep_input })
}

/// The streams of a command that is the runtime's own affair.
pub fn none() -> Streams {
    Streams { input: Stdio::null(), output: Stdio::null(), error: Stdio::null(), keep_input: None }
}

/// A FIFO to read from, and its writing end.
///
/// # Errors
/// It cannot be opened.
pub fn open_input(path: &str) -> Result<Option<(File, OwnedFd)>> {
    if path.is_empty() {
        return Ok(None);
    }
    let path = Path::new(path);
    // With both ends here neither call waits for containerd.
    let keep = both_ends(path).tried("open standard input", path)?;
    let file = File::open(path).tried("open standard input", path)?;
    Ok(Some((file, keep.into())))
}

/// Something to write to. A FIFO is opened with both ends: a containerd that goes away for a while
/// then breaks no pipe.
///
/// # Errors
/// It cannot be opened, or is a logger to be run.
pub fn open_output(name: &str) -> Result<Option<File>> {
    let (scheme, path) = name.split_once("://").unwrap_or(("fifo", name));
    if path.is_empty() {
        return Ok(None);
    }
    // The query of a URI is for loggers.
    let path = Path::new(path.split('?').next().unwrap_or(path));
    match scheme {
        "fifo" => both_ends(path).tried("open", path).map(Some),
        "file" => {
            let options = OpenOptions::new().create(true).append(true).mode(0o640).open(path);
            options.tried("open", path).map(Some)
        }
        other => {
            let message = format!("{name}: this shim writes to fifo: and file:, not to {other}:");
            Err(Failure::new(Code::Unimplemented, message))
        }
    }
}

fn both_ends(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::io::{Read, Write};

    fn fifo(name: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let text = path.to_str().unwrap().to_owned();
        (dir, text)
    }

    #[test]
    fn input_ends_when_the_kept_end_is_closed() {
        let (_dir, path) = fifo("in");
        let (mut file, keep) = open_input(&path).unwrap().unwrap();
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"said").unwrap();
        drop(writer);
        let mut four = [0; 4];
        file.read_exact(&mut four).unwrap();
        drop(keep);
        assert_eq!((four, file.read(&mut four).unwrap()), (*b"said", 0));
    }

    #[test]
    fn output_waits_for_nobody_and_breaks_for_nobody() {
        let (_dir, path) = fifo("out");
        let mut file = open_output(&path).unwrap().unwrap();
        drop(File::open(&path).unwrap());
        file.write_all(b"said").unwrap();
    }

    #[test]
    fn what_is_not_written_to() {
        let table: &[(&str, Option<Code>)] = &[
            ("", None),
            ("binary:///bin/logger?a=b", Some(Code::Unimplemented)),
            ("/not/there", Some(Code::Unknown)),
        ];
        for (path, want) in table {
            let found = open_output(path).map(drop).err().map(|failure| failure.code);
            assert_eq!(found, *want, "{path}");
        }
    }
}
