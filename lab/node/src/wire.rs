//! What the lab and a node's init say to each other: JSON, one message a line, on a socket.
//!
//! The socket is also the lifeline: when the lab's end closes and init was not told to stay, the
//! node ends.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::member::Member;

/// What keeper and init need to know; the first message to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The node.
    pub member: Member,
    /// The image's root file system, on the host.
    pub rootfs: PathBuf,
    /// Length of the range of addresses of the node and its pods.
    pub prefix_length: u8,
}

/// From the lab to init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Start a daemon.
    Start(Daemon),
    /// Live on when the lab's end of the socket closes.
    Stay,
    /// Stop all daemons and end.
    Stop,
}

/// From keeper and init to the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// init exists; its PID in the keeper's PID namespace.
    Init {
        /// That PID.
        pid: u32,
    },
    /// Mounts and network are up.
    Ready,
    /// A daemon runs.
    Started {
        /// Its name.
        name: String,
        /// Its PID in the node.
        pid: u32,
    },
    /// A daemon ended, which none should.
    Ended {
        /// Its name.
        name: String,
        /// "exit status 1", "killed by SIGKILL".
        how: String,
    },
    /// Setting up failed; the node is ending.
    Failed {
        /// What was tried, and what the system said.
        what: String,
    },
}

/// One message, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing yet.
    Nothing,
    /// The other end is closed.
    Closed,
}

/// One end of the socket.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Channel {
    /// Wraps an end.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The other end is closed.
    pub fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Waits for a message, at most `limit`.
    ///
    /// # Errors
    /// The socket failed, or the message is not one.
    pub fn receive<T: DeserializeOwned>(&mut self, limit: Duration) -> io::Result<Received<T>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Received::Message(serde_json::from_slice(&line)?));
            }
            // A timeout of zero would mean "for ever".
            let rest = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(rest.max(Duration::from_millis(1))))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Received::Closed),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Ok(Received::Nothing);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Received::Closed);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn messages_come_one_by_one_then_the_end() {
        let (lab, node) = UnixStream::pair().unwrap();
        let (mut lab, mut node) = (Channel::new(lab), Channel::new(node));
        lab.send(&Request::Stay).unwrap();
        lab.send(&Request::Start(Daemon::new("d", "/bin/d", []))).unwrap();
        assert_eq!(node.receive(SOON).unwrap(), Received::Message(Request::Stay));
        let Received::Message(Request::Start(daemon)) = node.receive(SOON).unwrap() else {
            panic!("no start request");
        };
        assert_eq!(daemon.argv, ["/bin/d"]);
        assert_eq!(node.receive::<Request>(SOON).unwrap(), Received::Nothing);
        drop(lab);
        assert_eq!(node.receive::<Request>(SOON).unwrap(), Received::Closed);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (mut lab, node) = UnixStream::pair().unwrap();
        lab.write_all(b"{\"Fly\":1}\n").unwrap();
        assert!(Channel::new(node).receive::<Request>(SOON).is_err());
    }
}
