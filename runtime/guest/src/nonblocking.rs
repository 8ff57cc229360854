//! Standard streams that do not block, without a flag that others would see.
//!
//! `O_NONBLOCK` belongs to the open file, not to the descriptor: to everybody who was handed the
//! same terminal or pipe, and a terminal is input and output at once. So a guest that asks for it
//! on a standard stream is answered from what poll(2) says before each read and write.

use std::ffi::c_int;

use libc::{POLLIN, POLLOUT, pollfd};

use crate::sys::wait_for;

/// What a pipe takes without blocking when poll(2) says that it is writable.
///
/// Source: pipe(7), `PIPE_BUF`.
const MOST_WRITTEN_BYTES: usize = 4096;

/// Whether a read from `fd` gives something at once, the end of the file or an error included.
pub fn can_read(fd: c_int) -> bool {
    is_ready(fd, POLLIN)
}

/// The most bytes of a write to `fd` that returns at once; nothing if none does.
///
/// Standard error has room for all: such a write waits. Go's runtime, which lets no stream block,
/// ends a program with less than its last words when these do not go through.
pub fn room_bytes(fd: c_int) -> Option<usize> {
    if fd == libc::STDERR_FILENO {
        return Some(usize::MAX);
    }
    is_ready(fd, POLLOUT).then_some(MOST_WRITTEN_BYTES)
}

fn is_ready(fd: c_int, events: i16) -> bool {
    let mut files = [pollfd { fd, events, revents: 0 }];
    // If it cannot be told, the read or write itself says what is wrong.
    wait_for(&mut files, Some(0)).is_err() || files[0].revents != 0
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_pipe_is_ready_when_it_holds_something_or_has_room() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let (from, to) = (reader.as_raw_fd(), writer.as_raw_fd());
        assert!(!can_read(from) && room_bytes(to).is_some());
        while let Some(room) = room_bytes(to) {
            writer.write_all(&vec![0; room]).unwrap();
        }
        assert!(can_read(from));
        reader.read_exact(&mut [0; MOST_WRITTEN_BYTES]).unwrap();
        assert!(room_bytes(to).is_some());
        drop(reader);
        assert!(room_bytes(to).is_some(), "the error is to be had at once");
    }
}
