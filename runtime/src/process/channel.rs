//! Typed messages between the runtime and the init it made, over a pair of packet sockets.
//!
//! One packet is one message: a tag byte and its payload. The end of the stream means that the
//! other side has died.

use crate::error::{Act, Error, Result};
use crate::sys::fd::receive_with_descriptor;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType};
use nix::sys::socket::{recv, send, sendmsg, socketpair};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Longest payload; a longer text is cut.
const MAX_PAYLOAD: usize = 64 * 1024;

/// From the init, or from the stage that clones it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromInit {
    /// The stage made the init: its PID, as the runtime sees it.
    Cloned(i32),
    /// The init waits for its user and group maps.
    NeedMaps,
    /// The namespaces and mounts are there: the runtime's hooks are due.
    RunHooks,
    /// The next packet carries the listener of the seccomp filter.
    Listener,
    /// The next packet carries the Wasm module: the answer says what runs it.
    Module(Native),
    /// Everything is set up; the init waits at the gate.
    Ready,
    /// Something worth a line in the log.
    Note(String),
    /// A step failed: the whole chain of the error.
    Failed(String),
}

/// What is asked about native code of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Native {
    /// Whether there is some, or is to be, as the container's engine says.
    Wanted,
    /// There has to be: the interpreter must not be given the module, for this reason.
    Required(String),
    /// This container goes without: some is to be made for the next one.
    ForTheNext,
}

impl Native {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wanted => b"w".to_vec(),
            Self::Required(reason) => [b"r", reason.as_bytes()].concat(),
            Self::ForTheNext => b"n".to_vec(),
        }
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        Some(match payload.split_first()? {
            (b'w', []) => Self::Wanted,
            (b'r', reason) => Self::Required(String::from_utf8_lossy(reason).into_owned()),
            (b'n', []) => Self::ForTheNext,
            _ => return None,
        })
    }
}

/// To the init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToInit {
    /// Go on; the payload is the state for the init's own hooks.
    Continue(String),
}

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Two connected ends: the runtime's and the init's.
///
/// # Errors
/// [`Error::Os`].
pub fn pair() -> Result<(Channel, Channel)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .act(|| "make a socket pair".to_owned())?;
    Ok((Channel(ours), Channel(theirs)))
}

impl Channel {
    fn send_packet(&self, tag: u8, payload: &[u8]) -> Result<()> {
        let mut packet = Vec::with_capacity(1 + payload.len());
        packet.push(tag);
        packet.extend_from_slice(&payload[..payload.len().min(MAX_PAYLOAD)]);
        loop {
            match send(self.0.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                other => {
                    let act = || "send a message between runtime and init".to_owned();
                    return other.map(drop).act(act);
                }
            }
        }
    }

    /// `None`: the other side is gone.
    fn receive_packet(&self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut packet = vec![0; 1 + MAX_PAYLOAD];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut packet, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => break 0,
                other => break other.act(|| "receive a message of the init".to_owned())?,
            }
        };
        packet.truncate(length);
        if packet.is_empty() {
            return Ok(None);
        }
        let payload = packet.split_off(1);
        Ok(Some((packet[0], payload)))
    }

    /// Sends to the runtime.
    ///
    /// # Errors
    /// [`Error::Os`]: the runtime is gone.
    pub fn tell(&self, message: &FromInit) -> Result<()> {
        match message {
            FromInit::Cloned(pid) => self.send_packet(b'P', &pid.to_ne_bytes()),
            FromInit::NeedMaps => self.send_packet(b'M', &[]),
            FromInit::RunHooks => self.send_packet(b'H', &[]),
            FromInit::Listener => self.send_packet(b'L', &[]),
            FromInit::Module(native) => self.send_packet(b'A', &native.encode()),
            FromInit::Ready => self.send_packet(b'R', &[]),
            FromInit::Note(text) => self.send_packet(b'N', text.as_bytes()),
            FromInit::Failed(text) => self.send_packet(b'E', text.as_bytes()),
        }
    }

    /// Sends a descriptor to the other side.
    ///
    /// # Errors
    /// [`Error::Os`]: it is gone.
    pub fn hand_over(&self, descriptor: &impl AsRawFd) -> Result<()> {
        let raw = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&raw)];
        let parts = [IoSlice::new(b"D")];
        sendmsg::<()>(self.0.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None)
            .map(drop)
            .act(|| "hand a descriptor to the other side".to_owned())
    }

    /// Receives a descriptor of the other side's.
    ///
    /// # Errors
    /// [`Error::Init`]: it failed, or is gone.
    pub fn take_over(&self) -> Result<OwnedFd> {
        let mut packet = vec![0; 1 + MAX_PAYLOAD];
        let (length, descriptor) = receive_with_descriptor(self.0.as_fd(), &mut packet)
            .act(|| "receive a descriptor of the other side".to_owned())?;
        match (descriptor, packet[..length].split_first()) {
            (Some(descriptor), _) => Ok(descriptor),
            (None, Some((b'E', text))) => {
                Err(Error::Init(String::from_utf8_lossy(text).into_owned()))
            }
            _ => Err(Error::Init("sent no descriptor".to_owned())),
        }
    }

    /// Receives from the init; `None`: it is gone.
    ///
    /// # Errors
    /// [`Error::Os`]; [`Error::Init`]: no message of ours.
    pub fn hear(&self) -> Result<Option<FromInit>> {
        let Some((tag, payload)) = self.receive_packet()? else { return Ok(None) };
        let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
        let pid = || payload.as_slice().try_into().ok().map(i32::from_ne_bytes);
        let native = || Native::decode(&payload).map(FromInit::Module);
        Ok(Some(match (tag, pid()) {
            (b'P', Some(pid)) => FromInit::Cloned(pid),
            (b'M', _) => FromInit::NeedMaps,
            (b'H', _) => FromInit::RunHooks,
            (b'L', _) => FromInit::Listener,
            (b'A', _) => native().ok_or_else(|| Error::Init("asked a bad question".to_owned()))?,
            (b'R', _) => FromInit::Ready,
            (b'N', _) => FromInit::Note(text(&payload)),
            (b'E', _) => FromInit::Failed(text(&payload)),
            _ => return Err(Error::Init(format!("sent an unknown message {tag}"))),
        }))
    }

    /// Sends to the init.
    ///
    /// # Errors
    /// [`Error::Os`]: the init is gone.
    pub fn answer(&self, ToInit::Continue(state): &ToInit) -> Result<()> {
        self.send_packet(b'C', state.as_bytes())
    }

    /// Receives from the runtime.
    ///
    /// # Errors
    /// [`Error::Init`]: the runtime died; there is nobody left to create this container.
    pub fn wait(&self) -> Result<ToInit> {
        match self.receive_packet()? {
            Some((_, payload)) => {
                Ok(ToInit::Continue(String::from_utf8_lossy(&payload).into_owned()))
            }
            None => Err(Error::Init("the runtime died during create".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_sent() {
        let (runtime, init) = pair().unwrap();
        let messages = [
            FromInit::Cloned(70_000),
            FromInit::NeedMaps,
            FromInit::RunHooks,
            FromInit::Listener,
            FromInit::Module(Native::Wanted),
            FromInit::Module(Native::Required("uses threads".into())),
            FromInit::Module(Native::ForTheNext),
            FromInit::Ready,
            FromInit::Note("four".into()),
            FromInit::Failed("x".repeat(30_000)),
        ];
        for message in &messages {
            init.tell(message).unwrap();
            assert_eq!(runtime.hear().unwrap().as_ref(), Some(message));
        }
        let answer = ToInit::Continue("{}".into());
        runtime.answer(&answer).unwrap();
        assert_eq!(init.wait().unwrap(), answer);
    }

    #[test]
    fn a_descriptor_or_the_failure_instead() {
        let (runtime, init) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        init.hand_over(&file).unwrap();
        let file = std::fs::File::from(runtime.take_over().unwrap());
        assert_eq!(file.metadata().unwrap().len(), 0);
        init.tell(&FromInit::Failed("why".into())).unwrap();
        assert!(runtime.take_over().unwrap_err().to_string().ends_with("why"));
        drop(init);
        assert!(runtime.take_over().unwrap_err().to_string().contains("sent no descriptor"));
    }

    #[test]
    fn a_dead_side_is_noticed() {
        let (runtime, init) = pair().unwrap();
        drop(init);
        assert_eq!(runtime.hear().unwrap(), None);
        let (runtime, init) = pair().unwrap();
        drop(runtime);
        assert!(init.wait().unwrap_err().to_string().contains("the runtime died"));
    }
}
