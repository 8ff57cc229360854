//! Messages of rtnetlink: as much as moving a network device takes.
//!
//! By hand: netlink-packet-route 0.34 and netlink-sys 0.9 add 546 kB to a static program that sends
//! one request and reads its answer (profile `resident`, 2026-11-30).
//!
//! Source: netlink(7), rtnetlink(7).

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// `NLM_F_DUMP`: all objects, ended by a message of its own.
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A request, or a part of an answer: its type and what follows the common header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `RTM_*`.
    pub kind: u16,
    /// The type's own header and its attributes.
    pub body: Vec<u8>,
}

impl Message {
    /// A message with the type's own header and no attribute yet.
    pub fn new(kind: u16, header: &[u8]) -> Self {
        Self { kind, body: header.to_vec() }
    }

    /// Appends an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (ATTRIBUTE_BYTES + value.len()) as u16;
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// The attributes after a header of `header` bytes; what is cut short ends the list.
    pub fn attributes(&self, header: usize) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = self.body.get(header.next_multiple_of(4)..).unwrap_or_default();
        std::iter::from_fn(move || {
            let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
            let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
            let value = rest.get(ATTRIBUTE_BYTES..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }
}

/// A connection to the kernel, in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one in the namespace of this process.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let route = SockProtocol::NetlinkRoute;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, flags, route)?))
    }

    /// Sends `request` and returns the answer to it.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn ask(&self, request: &Message) -> io::Result<Vec<Message>> {
        self.exchange(request, REQUEST | ACKNOWLEDGE)
    }

    /// As [`Netlink::ask`], for all objects of a kind.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn list(&self, request: &Message) -> io::Result<Vec<Message>> {
        self.exchange(request, REQUEST | DUMP)
    }

    fn exchange(&self, request: &Message, flags: u16) -> io::Result<Vec<Message>> {
        let length = (HEADER_BYTES + request.body.len()) as u32;
        let mut packet = Vec::from(length.to_ne_bytes());
        packet.extend(request.kind.to_ne_bytes());
        packet.extend(flags.to_ne_bytes());
        // Sequence number and port: one request at a time, from the socket's only user.
        packet.extend([0; 8]);
        packet.extend(&request.body);
        send(self.0.as_raw_fd(), &packet, MsgFlags::empty())?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if take(&buffer[..length], &mut answer)? {
                return Ok(answer);
            }
        }
    }
}

/// Adds the messages of `packet` to `answer`; whether it ends the answer.
fn take(packet: &[u8], answer: &mut Vec<Message>) -> io::Result<bool> {
    let mut rest = packet;
    while let Some(header) = rest.get(..HEADER_BYTES) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let body = rest.get(HEADER_BYTES..length).ok_or(io::ErrorKind::InvalidData)?;
        match (kind, body.first_chunk::<4>()) {
            (DONE, _) => return Ok(true),
            (ERROR, Some(code)) => match i32::from_ne_bytes(*code) {
                0 => return Ok(true),
                code => return Err(io::Error::from_raw_os_error(code.saturating_neg())),
            },
            _ => answer.push(Message { kind, body: body.to_vec() }),
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_aligned_and_found_again() {
        let message = Message::new(16, &[1, 2, 3, 4]).with(3, b"eth0\0").with(28, &[7, 0, 0, 0]);
        assert_eq!(message.body.len(), 4 + 12 + 8);
        let got: Vec<_> = message.attributes(4).collect();
        assert_eq!(got, [(3, &b"eth0\0"[..]), (28, &[7, 0, 0, 0][..])]);
    }

    #[test]
    fn the_kernel_says_what_is_wrong() {
        let netlink = Netlink::open().unwrap();
        let loopback = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let answer = netlink.ask(&Message::new(18, &loopback)).unwrap();
        let name = answer[0].attributes(16).find(|(kind, _)| *kind == 3).unwrap().1;
        assert_eq!(name, b"lo\0");
        let error = netlink.ask(&Message::new(18, &[0; 16]).with(3, b"nowhere\0")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert!(!netlink.list(&Message::new(22, &[0; 8])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_packet_is_taken_or_refused(packet: Vec<u8>, header in 0..40_usize) {
            let mut answer = Vec::new();
            drop(take(&packet, &mut answer));
            for message in answer {
                message.attributes(header).for_each(drop);
            }
        }
    }
}
