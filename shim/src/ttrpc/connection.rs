//! A connection that is never waited for. Both sides of ttrpc read and write like this.

use super::frame::{self, Frame};
use crate::error::{Result as Outcome, Tried};
use crate::handover::descriptors::{Kept, claim};
use crate::handover::saved;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What one call of read(2) may give. Calls are short: a task's Create is about 2 KiB.
const PIECE_BYTES: usize = 16 << 10;

/// An open connection, and what is on its way.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    waits: bool,
}

/// The connection is over: closed, broken, or nonsense came.
#[derive(Debug)]
pub struct Closed;

impl Connection {
    /// # Errors
    /// The stream cannot be read without waiting.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, incoming: Vec::new(), outgoing: Vec::new(), waits: false })
    }

    /// For the next program; `number` is its name.
    pub fn save<'a>(&'a self, number: u32, kept: &mut Kept<'a>) -> saved::Connection {
        saved::Connection {
            number,
            fd: kept.keep(&self.stream),
            incoming: self.incoming.clone(),
            outgoing: self.outgoing.clone(),
        }
    }

    /// As the program before has had it. What is on its way goes on by [`Connection::send`].
    ///
    /// # Errors
    /// It is not there.
    pub fn restore(saved: saved::Connection) -> Outcome<Self> {
        let stream: UnixStream = claim(saved.fd)?;
        let connection = Self::new(stream).tried("go on with", Path::new("a connection"))?;
        Ok(Self { incoming: saved.incoming, outgoing: saved.outgoing, ..connection })
    }

    /// All frames that have come whole. Those before the end come with it.
    pub fn receive(&mut self) -> (Vec<Frame>, Option<Closed>) {
        let mut frames = Vec::new();
        let mut piece = [0; PIECE_BYTES];
        let closed = loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break Some(Closed),
                Ok(count) => self.incoming.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(_) => break Some(Closed),
            }
            match take_all(&mut self.incoming, &mut frames) {
                Ok(()) => {}
                Err(error) => {
                    eprintln!("containerd-shim-wamr-crun-v1: a connection is closed: {error}");
                    break Some(Closed);
                }
            }
        };
        release(&mut self.incoming);
        (frames, closed)
    }

    /// Puts a frame behind what is on its way.
    pub fn queue(&mut self, stream: u32, kind: u8, data: &[u8]) {
        frame::put(&mut self.outgoing, stream, kind, data);
    }

    /// Sends what can be sent now. True if something is left, for which the stream must become
    /// writable.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn send(&mut self) -> Result<bool, Closed> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[sent..]) {
                Ok(0) => return Err(Closed),
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Closed),
            }
        }
        self.outgoing.drain(..sent);
        release(&mut self.outgoing);
        self.waits = !self.outgoing.is_empty();
        Ok(self.waits)
    }

    /// What [`Connection::send`] has told last.
    pub fn is_waiting(&self) -> bool {
        self.waits
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn take_all(bytes: &mut Vec<u8>, frames: &mut Vec<Frame>) -> Result<(), frame::TooLong> {
    while let Some(frame) = frame::take(bytes)? {
        frames.push(frame);
    }
    Ok(())
}

/// There is a connection per container, most of the time a silent one.
fn release(bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        *bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn more_than_the_socket_holds_arrives_whole() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut left, mut right) =
            (Connection::new(left).unwrap(), Connection::new(right).unwrap());
        let data = vec![7; 3 << 20];
        left.queue(1, frame::REQUEST, &data);
        left.queue(3, frame::REQUEST, b"after");
        let mut found = Vec::new();
        while found.len() < 2 {
            left.send().unwrap();
            found.extend(right.receive().0);
            thread::yield_now();
        }
        assert_eq!((found[0].data.len(), found[1].stream), (data.len(), 3));
        assert_eq!(left.outgoing.capacity() + right.incoming.capacity(), 0);
    }

    #[test]
    fn what_came_before_the_end_is_not_lost() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut left, mut right) =
            (Connection::new(left).unwrap(), Connection::new(right).unwrap());
        left.queue(1, frame::REQUEST, b"last");
        left.send().unwrap();
        drop(left);
        let (frames, closed) = right.receive();
        assert_eq!((frames.len(), closed.is_some()), (1, true));
    }
}
