//! ttrpc on the wire: a header of ten bytes, then a message.
//!
//! Source: github.com/containerd/ttrpc, PROTOCOL.md, "Message Frame".

use std::fmt;

/// Length, stream, type, flags.
const HEADER_BYTES: usize = 10;

/// What may follow it.
const MAX_DATA_BYTES: usize = 4 << 20;

/// A call.
pub const REQUEST: u8 = 1;

/// Its answer.
pub const RESPONSE: u8 = 2;

/// A message and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the caller, odd.
    pub stream: u32,
    /// [`REQUEST`] or [`RESPONSE`].
    pub kind: u8,
    /// The message.
    pub data: Vec<u8>,
}

/// A length that no message has. What follows cannot be told apart any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong(usize);

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a message of {} bytes, of at most {MAX_DATA_BYTES}", self.0)
    }
}

/// Takes the first whole frame off `bytes`.
///
/// # Errors
/// The length is beyond what ttrpc allows.
pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Frame>, TooLong> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [l0, l1, l2, l3, s0, s1, s2, s3, kind, _flags] = *header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_DATA_BYTES {
        return Err(TooLong(length));
    }
    let Some(data) = rest.get(..length) else { return Ok(None) };
    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
    let frame = Frame { stream, kind, data: data.to_vec() };
    bytes.drain(..HEADER_BYTES + length);
    Ok(Some(frame))
}

/// Adds a frame to `bytes`.
pub fn put(bytes: &mut Vec<u8>, stream: u32, kind: u8, data: &[u8]) {
    bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_of_a_call() {
        let mut bytes = Vec::new();
        put(&mut bytes, 3, REQUEST, b"ab");
        assert_eq!(bytes, [0, 0, 0, 2, 0, 0, 0, 3, 1, 0, b'a', b'b']);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused() {
        for (length, refused) in [(MAX_DATA_BYTES, false), (MAX_DATA_BYTES + 1, true)] {
            let mut bytes = (length as u32).to_be_bytes().to_vec();
            bytes.extend([0, 0, 0, 1, 1, 0]);
            assert_eq!(take(&mut bytes).is_err(), refused, "{length}");
        }
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(
            sent in prop::collection::vec(
                (any::<u32>(), 1u8..4, prop::collection::vec(any::<u8>(), 0..40)),
                0..6,
            ),
            cut in 1usize..30,
        ) {
            let mut wire = Vec::new();
            for (stream, kind, data) in &sent {
                put(&mut wire, *stream, *kind, data);
            }
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for piece in wire.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = take(&mut buffer).unwrap() {
                    found.push((frame.stream, frame.kind, frame.data));
                }
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(found, sent);
        }

        #[test]
        fn any_bytes_end(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            while let Ok(Some(_)) = take(&mut bytes) {}
        }
    }
}
