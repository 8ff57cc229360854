//! A process' three streams. The process gets containerd's FIFOs themselves: nothing is copied.

use crate::error::{Code, Failure, Result, Tried};
use crate::handover::descriptors::{Kept, claim_any};
use crate::handover::saved;
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
    /// Standard input; nothing comes if there is none.
    pub input: Option<File>,
    /// Standard output.
    pub output: Output,
    /// Standard error.
    pub error: Output,
    /// Where a terminal shows what is written to it.
    pub shown: Output,
    /// Keeps standard input from ending before containerd has opened it, until CloseIO.
    pub keep_input: Option<OwnedFd>,
}

/// Where a process writes to.
#[derive(Debug)]
pub enum Output {
    /// Nowhere.
    Null,
    /// An open file or FIFO.
    Open(File),
    /// A FIFO that nobody reads yet. It must not be written to: when the process has ended before
    /// the reader comes, what it wrote has gone with it.
    Unread(Box<Path>),
}

impl Output {
    /// Opens a FIFO that is read by now.
    fn open(&mut self) -> Result<()> {
        let Self::Unread(path) = self else { return Ok(()) };
        // Held until the other ends are open, or the reader would take it for the only writer.
        let writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&*path);
        let refusal = writer.as_ref().err().and_then(std::io::Error::raw_os_error);
        if refusal != Some(libc::ENXIO) {
            *self = Self::Open(both_ends(path).tried("open", path)?);
        }
        Ok(())
    }

    /// For the next program.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> saved::Output {
        let (fd, unread) = match self {
            Self::Null => (None, None),
            Self::Open(file) => (Some(kept.keep(file)), None),
            Self::Unread(path) => (None, Some(path.display().to_string())),
        };
        saved::Output { fd, unread }
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: saved::Output) -> Result<Self> {
        Ok(match (claim_any(saved.fd)?, saved.unread) {
            (Some(file), _) => Self::Open(file),
            (None, Some(path)) => Self::Unread(Path::new(&path).into()),
            (None, None) => Self::Null,
        })
    }

    /// What a command is given.
    pub fn into_stdio(self) -> Stdio {
        match self {
            Self::Open(file) => file.into(),
            Self::Null | Self::Unread(_) => Stdio::null(),
        }
    }

    /// The file, if there is one.
    pub fn into_file(self) -> Option<File> {
        match self {
            Self::Open(file) => Some(file),
            Self::Null | Self::Unread(_) => None,
        }
    }
}

impl Streams {
    /// Opens what containerd reads by now. True if nothing is to come.
    ///
    /// # Errors
    /// A FIFO is gone.
    pub fn are_open(&mut self) -> Result<bool> {
        let mut outputs = [&mut self.output, &mut self.error, &mut self.shown];
        outputs.iter_mut().try_for_each(|output| output.open())?;
        Ok(!outputs.iter().any(|output| matches!(output, Output::Unread(_))))
    }
}

/// Names what was asked for; FIFOs to write to are opened by [`Streams::are_open`].
///
/// # Errors
/// It is not there, or is something that this shim does not write to.
pub fn open(names: &StreamNames) -> Result<Streams> {
    let (input, keep_input) = open_input(&names.stdin)?.unzip();
    let (output, error) = (open_output(&names.stdout)?, open_output(&names.stderr)?);
    Ok(Streams { input, output, error, keep_input, ..none() })
}

/// Those of the runtime when it makes a process with a terminal.
///
/// # Errors
/// As [`open`].
pub fn open_shown(names: &StreamNames) -> Result<Streams> {
    Ok(Streams { shown: open_output(&names.stdout)?, ..none() })
}

/// The streams of a command that is the runtime's own affair.
pub fn none() -> Streams {
    let [output, error, shown] = [Output::Null, Output::Null, Output::Null];
    Streams { input: None, output, error, shown, keep_input: None }
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

/// Something to write to. A FIFO is opened with both ends, when it is read: a containerd that goes
/// away for a while then breaks no pipe.
///
/// # Errors
/// It cannot be opened, or is a logger to be run.
fn open_output(name: &str) -> Result<Output> {
    let (scheme, path) = name.split_once("://").unwrap_or(("fifo", name));
    if path.is_empty() {
        return Ok(Output::Null);
    }
    // The query of a URI is for loggers.
    let path = Path::new(path.split('?').next().unwrap_or(path));
    match scheme {
        "fifo" => {
            std::fs::metadata(path).tried("open", path)?;
            Ok(Output::Unread(path.into()))
        }
        "file" => {
            let options = OpenOptions::new().create(true).append(true).mode(0o640).open(path);
            options.tried("open", path).map(Output::Open)
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
    fn output_breaks_for_nobody_once_it_was_read() {
        let (_dir, path) = fifo("out");
        let names = StreamNames { stdout: path.as_str().into(), ..StreamNames::default() };
        let mut streams = open(&names).unwrap();
        assert!(!streams.are_open().unwrap(), "nobody reads");
        let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).clone();
        let mut reader = options.open(&path).unwrap();
        assert!(streams.are_open().unwrap());
        let mut file = streams.output.into_file().unwrap();
        let early = reader.read(&mut [0]).unwrap_err();
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock, "no end before anything is said");
        drop(reader);
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
