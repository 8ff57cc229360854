//! The file of a state: messages one after the other, each with its length before it. It is in
//! memory, and is read piece by piece, so neither program ever holds all of it.

use super::field::{self, Field};
use super::saved::{Body, Head, Once};
use crate::error::{Code, Failure, Result, Tried};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// How the messages are to be read. Whoever changes the meaning of a field raises it.
pub const FORMAT: u32 = 1;

/// A message is a call of at most 4 MiB and a little more.
const MOST_BYTES: usize = 16 << 20;

const NAME: &str = "wamr-shim-state";

const NONE: &str = "this is no state of a shim";

/// A state that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    count: u32,
}

impl Writer {
    /// An empty one.
    ///
    /// # Errors
    /// No memory or no descriptor is left.
    pub fn new() -> Result<Self> {
        let file = memfd_create(NAME, MFdFlags::MFD_CLOEXEC).tried("make", Path::new(NAME))?;
        let mut writer = Self { file: file.into(), count: 0 };
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let mut head = Vec::new();
        Head { format: FORMAT, program }.put(&mut head);
        writer.write(&head)?;
        Ok(writer)
    }

    /// One piece more.
    ///
    /// # Errors
    /// No memory is left.
    pub fn put(&mut self, body: &Body) -> Result<()> {
        self.count += 1;
        self.message(body)
    }

    /// The whole file, to be read from its beginning.
    ///
    /// # Errors
    /// No memory is left.
    pub fn finish(mut self) -> Result<File> {
        self.message(&Body::End(self.count))?;
        self.file.rewind().tried("rewind", Path::new(NAME))?;
        Ok(self.file)
    }

    /// A piece with its length before it.
    fn message(&mut self, body: &Body) -> Result<()> {
        let mut bytes = Vec::new();
        field::put_message(&mut bytes, |out| body.put(out));
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).tried("write", Path::new(NAME))
    }
}

/// A state that is being read.
#[derive(Debug)]
pub struct Reader {
    file: File,
    count: u32,
    /// Of the program that has written it.
    pub program: String,
}

impl Reader {
    /// What there is once, and the rest.
    ///
    /// # Errors
    /// It is none, or is that of a later version.
    pub fn open(file: File) -> Result<(Once, Self)> {
        let mut reader = Self { file, count: 0, program: String::new() };
        let bytes = reader.message()?;
        let mut head = Vec::new();
        field::put_message(&mut head, |out| out.extend_from_slice(&bytes));
        let head = Head::take(&mut &head[..]).ok_or_else(|| refused(NONE.to_owned()))?;
        is_for(env!("CARGO_PKG_VERSION"), &head).map_err(refused)?;
        reader.program = head.program;
        match reader.piece()? {
            Some(Body::Once(once)) => Ok((once, reader)),
            _ => Err(refused("the state does not begin as it has to".to_owned())),
        }
    }

    /// The next piece; nothing comes after `None`.
    ///
    /// # Errors
    /// It is cut off, or has something that this program does not know.
    pub fn piece(&mut self) -> Result<Option<Body>> {
        let bytes = self.message()?;
        match Body::take(&bytes) {
            Some(Body::End(count)) if count == self.count => Ok(None),
            Some(Body::End(_)) => Err(refused("a part of the state is missing".to_owned())),
            Some(body) => {
                self.count += 1;
                Ok(Some(body))
            }
            None => Err(refused("the state has a part that this program does not know".to_owned())),
        }
    }

    fn message(&mut self) -> Result<Vec<u8>> {
        let cut_off = |_| refused("the state is cut off".to_owned());
        let mut length = [0; 4];
        self.file.read_exact(&mut length).map_err(cut_off)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MOST_BYTES {
            return Err(refused(NONE.to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes).map_err(cut_off)?;
        Ok(bytes)
    }
}

fn refused(reason: String) -> Failure {
    Failure::new(Code::FailedPrecondition, reason)
}

/// Whether the program of version `own` may go on with the state.
fn is_for(own: &str, head: &Head) -> std::result::Result<(), String> {
    let Head { format, program } = head;
    if *format == 0 || program.is_empty() {
        return Err(NONE.to_owned());
    }
    if *format > FORMAT {
        return Err(format!(
            "the state has format {format} and this program, {own}, reads up to {FORMAT}: \
             {program} runs, and a shim cannot go back to an older program. Drain the node instead"
        ));
    }
    if numbers(own) < numbers(program) {
        return Err(format!(
            "this program is {own} and {program} runs: a shim cannot go back to an older program. \
             Drain the node instead"
        ));
    }
    Ok(())
}

/// `1.20.3-rc` as 1, 20, 3.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::saved::{self, Early};

    fn written(bodies: Vec<Body>) -> Vec<u8> {
        let mut writer = Writer::new().unwrap();
        for body in bodies {
            writer.put(&body).unwrap();
        }
        let mut bytes = Vec::new();
        writer.finish().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Body>> {
        let file = memfd_create(NAME, MFdFlags::MFD_CLOEXEC).unwrap();
        let mut file = File::from(file);
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let (once, mut reader) = Reader::open(file)?;
        let mut found = vec![Body::Once(once)];
        while let Some(body) = reader.piece()? {
            found.push(body);
        }
        Ok(found)
    }

    /// Length, kind and count.
    const END_BYTES: usize = 12;

    fn once() -> Body {
        Body::Once(Once { listener_fd: 7, ..Once::default() })
    }

    #[test]
    fn what_is_written_is_read() {
        let early = Body::Early(Early { pid: 5, exit: None });
        let event = Body::Event(vec![1; 300]);
        let all = vec![once(), early, event, Body::Connection(saved::Connection::default())];
        assert_eq!(read(&written(all.clone())), Ok(all));
    }

    #[test]
    fn what_is_cut_off_or_nonsense_is_refused() {
        let bytes = written(vec![once(), Body::Event(vec![1; 300])]);
        for length in 0..bytes.len() {
            read(&bytes[..length]).unwrap_err();
        }
        // A part is missing: the message after the head and the first.
        let early = |pid| Body::Early(Early { pid, exit: None });
        let (long, short) = (written(vec![once(), early(3), early(4)]), written(vec![once()]));
        let end = short.len() - END_BYTES;
        let gap = [&short[..end], &long[long.len() - END_BYTES..]].concat();
        assert!(read(&gap).unwrap_err().message.contains("missing"), "{gap:?}");
        for nonsense in [&b""[..], b"ELF", &[0xff; 40], &[0, 0, 0], &[0; 40]] {
            read(nonsense).unwrap_err();
        }
        read(&written(vec![early(3)])).unwrap_err();
        // A kind of piece that comes one day.
        let unknown = [&short[..end], &[4, 0, 0, 0, 15, 0, 0, 0], &short[end..]].concat();
        let refusal = read(&unknown).unwrap_err().message;
        assert!(refusal.contains("does not know"), "{refusal}");
    }

    #[test]
    fn an_older_program_does_not_go_on() {
        for (own, format, program, want) in [
            ("0.2.0", 1, "0.2.0", true),
            ("0.2.1", 1, "0.2.0", true),
            ("0.10.0", 1, "0.9.7", true),
            ("0.9.7", 1, "0.10.0", false),
            ("1.0.0", 2, "1.0.0", false),
            ("0.2.0", 0, "0.2.0", false),
            ("0.2.0", 1, "", false),
            ("0.2.0-rc1", 1, "0.2.0", true),
        ] {
            let head = Head { format, program: program.to_owned() };
            assert_eq!(is_for(own, &head).is_ok(), want, "{own} {head:?}");
        }
    }
}
