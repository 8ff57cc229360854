//! What is done with a path.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use rustix::fs::{self, AtFlags, Mode, OFlags, RawDir, SeekFrom};
use wamr_guest::working_directory::{HERE, ROOT, Start, start};

use super::descriptor::{Descriptor, file_type_number, right};
use super::errno::{Errno, Result, between};
use super::files::{FLAGS, timestamps, write_status};
use super::memory::Memory;
use super::path;
use super::{Arguments, Host};

/// `lookupflags`: the last part of a path is followed if it is a link.
const FOLLOW: u32 = 1;

/// A directory that has `rights` and the path below it, given the arguments' places of the
/// directory's number and of the path: what a path means that was looked for in the working
/// directory.
fn place<'a>(
    host: &'a Host,
    memory: &'a Memory,
    arguments: &Arguments,
    rights: u64,
    (number_at, path_at): (usize, usize),
) -> Result<(&'a Descriptor, Cow<'a, [u8]>)> {
    let directory = host.table.get(arguments.u32(number_at), rights)?;
    let path = memory.bytes(arguments.u32(path_at), arguments.u32(path_at + 1))?;
    let as_it_is = Ok((directory, Cow::Borrowed(path)));
    if !directory.is_preopen(HERE) {
        return as_it_is;
    }
    let Some(root) = host.table.preopen(ROOT) else { return as_it_is };
    let [here_fd, root_fd] = [directory, root].map(|one| one.file.as_raw_fd());
    match start(&host.cwd, here_fd, root_fd, path) {
        Start::Here => as_it_is,
        Start::Root(_) if root.rights & rights != rights => Err(Errno::NOTCAPABLE),
        Start::Root(path) => Ok((root, path)),
    }
}

pub fn create_directory(host: &mut Host, memory: &mut Memory, args: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, args, right::CREATE_DIRECTORY, (0, 1))?;
    let (parent, name) = path::parent(&directory.file, &path)?;
    Ok(fs::mkdirat(parent, name, Mode::from_raw_mode(0o777))?)
}

pub fn remove_directory(host: &mut Host, memory: &mut Memory, args: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, args, right::REMOVE_DIRECTORY, (0, 1))?;
    let (parent, name) = path::parent(&directory.file, &path)?;
    Ok(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

pub fn unlink(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::UNLINK, (0, 1))?;
    let (parent, name) = path::parent_of_slashed(&directory.file, &path)?;
    Ok(fs::unlinkat(parent, name, AtFlags::empty())?)
}

pub fn status(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::PATH_STAT, (0, 2))?;
    let found = path::locate(&directory.file, &path, arguments.u32(1) & FOLLOW != 0)?;
    write_status(memory, arguments.u32(4), &fs::fstat(found)?)
}

pub fn set_times(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::PATH_SET_TIMES, (0, 2))?;
    let times = timestamps(arguments.u64(4), arguments.u64(5), arguments.u32(6))?;
    let found = path::locate(&directory.file, &path, arguments.u32(1) & FOLLOW != 0)?;
    Ok(fs::utimensat(found, c"", &times, AtFlags::EMPTY_PATH)?)
}

pub fn link(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (from, old) = place(host, memory, arguments, right::LINK_SOURCE, (0, 2))?;
    let (to, new) = place(host, memory, arguments, right::LINK_TARGET, (4, 5))?;
    // A link to what a link leads to would need a right that containers do not have.
    if arguments.u32(1) & FOLLOW != 0 {
        return Err(Errno::INVAL);
    }
    let ((old, old_name), (new, new_name)) =
        (path::parent(&from.file, &old)?, path::parent_of_slashed(&to.file, &new)?);
    fs::linkat(old, old_name, new, new_name, AtFlags::empty()).map_err(between)
}

pub fn rename(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (from, old) = place(host, memory, arguments, right::RENAME_SOURCE, (0, 1))?;
    let (to, new) = place(host, memory, arguments, right::RENAME_TARGET, (3, 4))?;
    let ((old, old_name), (new, new_name)) =
        (path::parent(&from.file, &old)?, path::parent(&to.file, &new)?);
    fs::renameat(old, old_name, new, new_name).map_err(between)
}

/// Makes no link to an absolute path: it would not be followed.
pub fn symlink(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::SYMLINK, (2, 3))?;
    let target = memory.bytes(arguments.u32(0), arguments.u32(1))?;
    if target.starts_with(b"/") {
        return Err(Errno::PERM);
    }
    let (parent, name) = path::parent_of_slashed(&directory.file, &path)?;
    Ok(fs::symlinkat(target, parent, name)?)
}

pub fn read_link(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::READLINK, (0, 1))?;
    let (parent, name) = path::parent(&directory.file, &path)?;
    let mut text = [MaybeUninit::uninit(); 4096];
    let (text, _) = fs::readlinkat_raw(parent, name, &mut text)?;
    let length = text.len().min(arguments.u32(4) as usize);
    memory.write(arguments.u32(3), &text[..length])?;
    memory.write_u32(arguments.u32(5), length as u32)
}

/// `oflags` of preview 1, and the kernel's.
const OPEN_FLAGS: [(u32, OFlags); 4] =
    [(1, OFlags::CREATE), (2, OFlags::DIRECTORY), (4, OFlags::EXCL), (8, OFlags::TRUNC)];

pub fn open(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let (directory, path) = place(host, memory, arguments, right::OPEN, (0, 2))?;
    let (rights, inheriting) = (arguments.u64(5), arguments.u64(6));
    let wanted = arguments.u32(4);
    if (rights | inheriting) & !directory.inheriting != 0 {
        return Err(Errno::NOTCAPABLE);
    }
    for (flag, needed) in [(1, right::CREATE_FILE), (8, right::PATH_SET_SIZE)] {
        if wanted & flag != 0 && directory.rights & needed == 0 {
            return Err(Errno::NOTCAPABLE);
        }
    }
    let mut flags = access(rights) | OFlags::NOCTTY;
    for (bit, flag) in OPEN_FLAGS {
        flags.set(flag, wanted & bit != 0);
    }
    for (bit, flag) in FLAGS {
        if arguments.u32(7) & u32::from(bit) != 0 {
            flags |= flag;
        }
    }
    flags.set(OFlags::NOFOLLOW, arguments.u32(1) & FOLLOW == 0);
    let mode = if flags.contains(OFlags::CREATE) { 0o666 } else { 0 };
    let opened = path::open(&directory.file, &path, flags, Mode::from_raw_mode(mode))?;
    let mut descriptor = Descriptor::new(opened)?;
    descriptor.rights &= rights;
    descriptor.inheriting &= inheriting;
    let number = host.table.insert(descriptor)?;
    memory.write_u32(arguments.u32(8), number)
}

/// How a file is opened for what its rights allow.
fn access(rights: u64) -> OFlags {
    const WRITING: u64 = right::DATASYNC | right::WRITE | right::ALLOCATE | right::SET_SIZE;
    match (rights & (right::READ | right::READDIR) != 0, rights & WRITING != 0) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    }
}

/// Lists a directory from a place that an earlier call gave: the kernel's own cookies are WASI's.
pub fn list(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let directory = host.table.get(arguments.u32(0), right::READDIR)?;
    let buffer = memory.bytes_mut(arguments.u32(1), arguments.u32(2))?;
    fs::seek(&directory.file, SeekFrom::Start(arguments.u64(3)))?;
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory.file, &mut space);
    let mut used = 0;
    while used < buffer.len() {
        let Some(entry) = entries.next() else { break };
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let mut head = [0; 24];
        head[..8].copy_from_slice(&entry.next_entry_cookie().to_le_bytes());
        head[8..16].copy_from_slice(&entry.ino().to_le_bytes());
        head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        head[20] = file_type_number(entry.file_type());
        for part in [&head[..], name] {
            let length = part.len().min(buffer.len() - used);
            buffer[used..used + length].copy_from_slice(&part[..length]);
            used += length;
        }
    }
    memory.write_u32(arguments.u32(4), used as u32)
}
