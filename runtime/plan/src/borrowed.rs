//! A plan read in place: checked once, then handed out string by string without a copy.

use std::ffi::CStr;

use crate::bytes::{Header, Reader};
use crate::{DecodeError, Plan, Preopen};

/// A checked plan whose strings lie in the bytes it was read from.
#[derive(Debug, Clone)]
pub struct PlanRef<'a> {
    /// As [`Plan::module_fd`].
    pub module_fd: u32,
    /// As [`Plan::stack_bytes`].
    pub stack_bytes: u32,
    /// As [`Plan::heap_bytes`].
    pub heap_bytes: u32,
    /// As [`Plan::max_memory_pages`].
    pub max_memory_pages: u32,
    /// As [`Plan::cwd`].
    pub cwd: &'a CStr,
    args: Strings<'a>,
    env: Strings<'a>,
    socket_networks: Strings<'a>,
    socket_names: Strings<'a>,
    preopens: Preopens<'a>,
}

impl<'a> PlanRef<'a> {
    /// Reads what [`Plan::encode`] wrote. Allocates nothing, whatever the bytes say.
    ///
    /// # Errors
    /// [`DecodeError`]: the bytes are not a plan, a plan of another version, cut, or damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, mut reader) = Reader::open(bytes)?;
        let Header { module_fd, stack_bytes, heap_bytes, max_memory_pages, .. } = header;
        let cwd = reader.string()?;
        let args = Strings::pass(&mut reader, header.args)?;
        let env = Strings::pass(&mut reader, header.env)?;
        let socket_networks = Strings::pass(&mut reader, header.socket_networks)?;
        let socket_names = Strings::pass(&mut reader, header.socket_names)?;
        let preopens = Preopens { reader, left: header.preopens };
        reader.skip_strings(2 * u64::from(header.preopens))?;
        if !reader.is_at_end() {
            return Err(DecodeError::Length);
        }
        Ok(Self {
            module_fd,
            stack_bytes,
            heap_bytes,
            max_memory_pages,
            cwd,
            args,
            env,
            socket_networks,
            socket_names,
            preopens,
        })
    }

    /// As [`Plan::args`].
    pub fn args(&self) -> Strings<'a> {
        self.args.clone()
    }

    /// As [`Plan::env`].
    pub fn env(&self) -> Strings<'a> {
        self.env.clone()
    }

    /// As [`Plan::socket_networks`].
    pub fn socket_networks(&self) -> Strings<'a> {
        self.socket_networks.clone()
    }

    /// As [`Plan::socket_names`].
    pub fn socket_names(&self) -> Strings<'a> {
        self.socket_names.clone()
    }

    /// As [`Plan::preopens`]: pairs of guest path and container path.
    pub fn preopens(&self) -> Preopens<'a> {
        self.preopens.clone()
    }

    /// A copy that owns its strings.
    pub fn to_plan(&self) -> Plan {
        let owned = |strings: Strings<'a>| strings.map(|one| one.to_bytes().to_vec()).collect();
        Plan {
            module_fd: self.module_fd,
            args: owned(self.args.clone()),
            env: owned(self.env.clone()),
            cwd: self.cwd.to_bytes().to_vec(),
            preopens: self
                .preopens
                .clone()
                .map(|(guest_path, container_path)| Preopen {
                    guest_path: guest_path.to_bytes().to_vec(),
                    container_path: container_path.to_bytes().to_vec(),
                })
                .collect(),
            socket_networks: owned(self.socket_networks.clone()),
            socket_names: owned(self.socket_names.clone()),
            stack_bytes: self.stack_bytes,
            heap_bytes: self.heap_bytes,
            max_memory_pages: self.max_memory_pages,
        }
    }
}

/// The strings of one list of a plan.
#[derive(Debug, Clone)]
pub struct Strings<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Strings<'a> {
    /// The `count` strings at the cursor, which moves past them.
    fn pass(reader: &mut Reader<'a>, count: u32) -> Result<Self, DecodeError> {
        let strings = Self { reader: *reader, left: count };
        reader.skip_strings(u64::from(count))?;
        Ok(strings)
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.checked_sub(1)?;
        self.reader.string().ok()
    }

    // Exact, as the strings were counted when the plan was checked. `collect` may rely on it:
    // each string took five bytes of the plan at least.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Strings<'_> {}

/// The preopened directories of a plan: guest path, container path.
#[derive(Debug, Clone)]
pub struct Preopens<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Iterator for Preopens<'a> {
    type Item = (&'a CStr, &'a CStr);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.reader.string().ok()?, self.reader.string().ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Preopens<'_> {}
