//! What lab and agent say to each other on a port: frames of a kind, a length and a payload.
//!
//! A port may hold remains of an earlier conversation that was cut off. So each begins with a
//! greeting that carries a number never used before; both sides skip everything up to it.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The longest payload.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024;
/// What a greeting begins with.
pub const MAGIC: [u8; 16] = *b"\x00wamr-lab-hello\xff";

/// A number that marks one conversation.
pub type Nonce = [u8; 16];

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The greeting; answered with itself.
    Hello(Nonce),
    /// To the agent: run this.
    Start(Task),
    /// To the agent: standard input of the program; empty at its end.
    Input(Vec<u8>),
    /// From the agent: the program's standard output.
    Output(Vec<u8>),
    /// From the agent: its standard error.
    Errors(Vec<u8>),
    /// From the agent: it ended with this status, 128 + N for signal N. The last frame.
    Exit(i32),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Program and arguments.
    pub argv: Vec<String>,
}

impl Frame {
    fn parts(&self) -> io::Result<(u8, Vec<u8>)> {
        Ok(match self {
            Self::Hello(nonce) => (b'h', [MAGIC, *nonce].concat()),
            Self::Start(task) => (b's', serde_json::to_vec(task)?),
            Self::Input(bytes) => (b'i', bytes.clone()),
            Self::Output(bytes) => (b'o', bytes.clone()),
            Self::Errors(bytes) => (b'e', bytes.clone()),
            Self::Exit(status) => (b'x', status.to_le_bytes().to_vec()),
        })
    }

    fn from_parts(kind: u8, payload: Vec<u8>) -> io::Result<Self> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        match kind {
            b'h' => {
                let nonce = payload.strip_prefix(&MAGIC).and_then(|rest| rest.try_into().ok());
                nonce.map(Self::Hello).ok_or_else(|| broken("a greeting of another kind"))
            }
            b's' => Ok(Self::Start(serde_json::from_slice(&payload)?)),
            b'i' => Ok(Self::Input(payload)),
            b'o' => Ok(Self::Output(payload)),
            b'e' => Ok(Self::Errors(payload)),
            b'x' => {
                let bytes = payload.try_into().map_err(|_| broken("no exit status"))?;
                Ok(Self::Exit(i32::from_le_bytes(bytes)))
            }
            _ => Err(broken(&format!("a frame of the unknown kind {kind:#x}"))),
        }
    }

    /// Writes the frame at once.
    ///
    /// # Errors
    /// The other side is gone; the payload is too long.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, payload) = self.parts()?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            let text = format!("{} bytes in one frame", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut bytes = vec![kind];
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// The other side is gone, or says what is no frame.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            let text = format!("a frame of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        Self::from_parts(head[0], payload)
    }
}

/// Skips everything up to and including the next greeting; its number.
///
/// # Errors
/// The other side is gone.
pub fn skip_to_hello(from: &mut impl Read) -> io::Result<Nonce> {
    let mut window = [0; MAGIC.len()];
    while window != MAGIC {
        window.rotate_left(1);
        from.read_exact(&mut window[MAGIC.len() - 1..])?;
    }
    let mut nonce = Nonce::default();
    from.read_exact(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were() {
        let frames = [
            Frame::Hello([7; 16]),
            Frame::Start(Task { argv: vec!["sh".to_owned(), "-c".to_owned(), "é\n".to_owned()] }),
            Frame::Input(Vec::new()),
            Frame::Input(vec![0; PAYLOAD_BYTES_MAX]),
            Frame::Output(b"\x00wamr".to_vec()),
            Frame::Errors(b"e".to_vec()),
            Frame::Exit(-1),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut from = bytes.as_slice();
        for frame in &frames {
            assert_eq!(&Frame::read(&mut from).unwrap(), frame);
        }
        assert_eq!(Frame::read(&mut from).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn remains_are_skipped() {
        let mut bytes = b"o\x05\x00half\x00wamr-\x00wamr-lab-hel".to_vec();
        Frame::Hello([9; 16]).write(&mut bytes).unwrap();
        Frame::Exit(0).write(&mut bytes).unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(skip_to_hello(&mut from).unwrap(), [9; 16]);
        assert_eq!(Frame::read(&mut from).unwrap(), Frame::Exit(0));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let table: &[(&str, &[u8])] = &[
            ("unknown kind", b"q\0\0\0\0"),
            ("too long", b"o\xff\xff\xff\xff"),
            ("no status", b"x\x01\0\0\0\0"),
            ("no task", b"s\x01\0\0\0{"),
            ("no greeting", b"h\x01\0\0\0h"),
        ];
        for (case, bytes) in table {
            assert!(Frame::read(&mut &bytes[..]).is_err(), "{case}");
        }
        assert!(Frame::Input(vec![0; PAYLOAD_BYTES_MAX + 1]).write(&mut Vec::new()).is_err());
    }
}
