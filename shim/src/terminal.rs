//! A process' terminal: what is typed goes from containerd's FIFO to it, what it shows to another.

use crate::handover::descriptors::{Kept, claim, claim_any};
use crate::handover::saved;
use crate::stdio::{self, StreamNames};
use crate::{error::Result, sys};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// What is under way in one direction.
const BUFFER_BYTES: usize = 4096;

/// An open terminal, and the two FIFOs.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    input: Option<File>,
    output: Option<File>,
    typed: Vec<u8>,
    shown: Vec<u8>,
    master_ended: bool,
}

impl Terminal {
    /// The terminal that the runtime has sent to `socket`, and what keeps its input open. What it
    /// shows goes to `output`.
    ///
    /// # Errors
    /// None was sent, or a FIFO cannot be opened.
    pub fn accept(
        socket: &UnixListener,
        names: &StreamNames,
        output: Option<File>,
    ) -> Result<(Self, Option<OwnedFd>)> {
        use crate::error::Tried;
        let here = std::path::Path::new("--console-socket");
        socket.set_nonblocking(true).tried("use", here)?;
        let (stream, _) = socket.accept().tried("take the terminal from", here)?;
        let (_, fds) = sys::receive_with_fds(&stream).tried("take the terminal from", here)?;
        let none = || std::io::Error::from(ErrorKind::NotFound);
        let master =
            fds.into_iter().next().ok_or_else(none).tried("take the terminal from", here)?;
        let (input, keep) = stdio::open_input(&names.stdin)?.unzip();
        let terminal = Self {
            master: master.into(),
            input,
            output,
            typed: Vec::new(),
            shown: Vec::new(),
            master_ended: false,
        };
        for fd in terminal.descriptors() {
            let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).unwrap_or(0));
            fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).tried("use", here)?;
        }
        Ok((terminal, keep))
    }

    /// For the next program; `number` is its name.
    pub fn save<'a>(&'a self, number: u32, kept: &mut Kept<'a>) -> saved::Terminal {
        saved::Terminal {
            number,
            master_fd: kept.keep(&self.master),
            input_fd: kept.keep_any(self.input.as_ref()),
            output_fd: kept.keep_any(self.output.as_ref()),
            typed: self.typed.clone(),
            shown: self.shown.clone(),
            has_ended: self.master_ended,
        }
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: saved::Terminal) -> Result<Self> {
        Ok(Self {
            master: claim(saved.master_fd)?,
            input: claim_any(saved.input_fd)?,
            output: claim_any(saved.output_fd)?,
            typed: saved.typed,
            shown: saved.shown,
            master_ended: saved.has_ended,
        })
    }

    /// All that can become ready.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let fifos = [&self.input, &self.output].into_iter().flatten();
        [&self.master].into_iter().chain(fifos).map(AsFd::as_fd)
    }

    /// Moves what can be moved. True if nothing will come any more and all has been shown.
    pub fn pump(&mut self) -> bool {
        let mut moved = true;
        while moved {
            moved = self.typed_to_master() | self.shown_to_output();
        }
        self.master_ended && self.shown.is_empty()
    }

    /// Tells the programs how large the window is.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, columns: u32, rows: u32) -> std::io::Result<()> {
        let cut = |size: u32| u16::try_from(size).unwrap_or(u16::MAX);
        sys::resize_terminal(&self.master, cut(columns), cut(rows))
    }

    fn typed_to_master(&mut self) -> bool {
        let mut moved = false;
        if let Some(input) = self.input.as_mut().filter(|_| self.typed.is_empty()) {
            match fill(&mut self.typed, input) {
                Filled::Some => moved = true,
                Filled::Nothing => {}
                Filled::Ended => self.input = None,
            }
        }
        moved | drain(&mut self.typed, &mut self.master)
    }

    fn shown_to_output(&mut self) -> bool {
        let mut moved = false;
        if self.shown.is_empty() && !self.master_ended {
            match fill(&mut self.shown, &mut self.master) {
                Filled::Some => moved = true,
                Filled::Nothing => {}
                Filled::Ended => self.master_ended = true,
            }
        }
        if let Some(output) = &mut self.output {
            return moved | drain(&mut self.shown, output);
        }
        self.shown.clear();
        moved
    }
}

enum Filled {
    Some,
    Nothing,
    /// Of a terminal's master: EIO, when nobody has the other side open.
    Ended,
}

fn fill(buffer: &mut Vec<u8>, from: &mut File) -> Filled {
    let mut piece = [0; BUFFER_BYTES];
    match from.read(&mut piece) {
        Ok(0) => Filled::Ended,
        Ok(count) => {
            buffer.extend_from_slice(&piece[..count]);
            Filled::Some
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Filled::Nothing
        }
        Err(_) => Filled::Ended,
    }
}

/// Writes what can be written; true if that was something. What nobody takes any more is lost.
fn drain(buffer: &mut Vec<u8>, to: &mut File) -> bool {
    if buffer.is_empty() {
        return false;
    }
    match to.write(buffer) {
        Ok(count) => {
            buffer.drain(..count);
            count > 0
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            false
        }
        Err(_) => {
            buffer.clear();
            false
        }
    }
}
