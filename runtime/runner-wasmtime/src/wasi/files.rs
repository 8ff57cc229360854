//! What is done with an open descriptor.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{
    self, Advice, FallocateFlags, FileType, OFlags, SeekFrom, Stat, Timespec, Timestamps,
};
use rustix::io;
use wamr_guest::nonblocking::{can_read, room_bytes};

use super::descriptor::{Blocking, Descriptor, file_type_number, right};
use super::errno::{Errno, Result};
use super::memory::Memory;
use super::{Arguments, Host};

/// Parts of one write that go in one call of the kernel.
const PARTS: usize = 16;
/// Most bytes that one call gives, as the kernel has it.
const MOST_BYTES: u32 = 0x7fff_f000;

pub fn advise(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::ADVISE)?;
    let advice = match arguments.u32(3) {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::INVAL),
    };
    // Advice for a directory is nobody's business.
    if descriptor.kind == FileType::Directory {
        return Ok(());
    }
    let length = std::num::NonZeroU64::new(arguments.u64(2));
    Ok(fs::fadvise(descriptor, arguments.u64(1), length, advice)?)
}

pub fn allocate(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::ALLOCATE)?;
    let (offset, length) = (arguments.u64(1), arguments.u64(2));
    Ok(fs::fallocate(descriptor, FallocateFlags::empty(), offset, length)?)
}

pub fn close(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.table.remove(arguments.u32(0)).map(drop)
}

pub fn data_sync(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    Ok(fs::fdatasync(host.table.get(arguments.u32(0), right::DATASYNC)?)?)
}

pub fn sync(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    Ok(fs::fsync(host.table.get(arguments.u32(0), right::SYNC)?)?)
}

/// WASI's flags of an open file, and the kernel's.
pub const FLAGS: [(u16, OFlags); 5] = [
    (1, OFlags::APPEND),
    (2, OFlags::DSYNC),
    (NONBLOCK, OFlags::NONBLOCK),
    (8, OFlags::RSYNC),
    (16, OFlags::SYNC),
];
/// Those that can be changed later.
const CHANGEABLE: u16 = 1 | NONBLOCK;
const NONBLOCK: u16 = 4;

pub fn descriptor_status(host: &mut Host, memory: &mut Memory, args: &Arguments) -> Result<()> {
    let descriptor = host.table.get(args.u32(0), 0)?;
    let set = fs::fcntl_getfl(descriptor)?;
    let flags = FLAGS.iter().filter(|(_, flag)| set.contains(*flag));
    let unseen = if descriptor.blocking == Blocking::No { NONBLOCK } else { 0 };
    let flags = flags.fold(unseen, |flags, (bit, _)| flags | bit);
    let mut status = [0; 24];
    status[0] = file_type_number(descriptor.kind);
    status[2..4].copy_from_slice(&flags.to_le_bytes());
    status[8..16].copy_from_slice(&descriptor.rights.to_le_bytes());
    status[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
    memory.write(args.u32(1), &status)
}

pub fn set_flags(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.table.get(arguments.u32(0), right::SET_FLAGS)?;
    let descriptor = host.table.get_mut(arguments.u32(0))?;
    let wanted = arguments.u32(1) as u16;
    let set = fs::fcntl_getfl(&*descriptor)?;
    let mut flags = set;
    for (bit, flag) in FLAGS {
        if CHANGEABLE & bit != 0 {
            flags.set(flag, wanted & bit != 0);
        } else if wanted & bit != 0 && !set.contains(flag) {
            return Err(Errno::NOTSUP);
        }
    }
    if descriptor.blocking != Blocking::AsOpened {
        let asked = wanted & NONBLOCK != 0;
        descriptor.blocking = if asked { Blocking::No } else { Blocking::Yes };
        flags.set(OFlags::NONBLOCK, asked && set.contains(OFlags::NONBLOCK));
    }
    if flags == set {
        return Ok(());
    }
    Ok(fs::fcntl_setfl(&*descriptor, flags)?)
}

pub fn set_rights(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get_mut(arguments.u32(0))?;
    let (rights, inheriting) = (arguments.u64(1), arguments.u64(2));
    if rights & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::NOTCAPABLE);
    }
    (descriptor.rights, descriptor.inheriting) = (rights, inheriting);
    Ok(())
}

pub fn status(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let found = fs::fstat(host.table.get(arguments.u32(0), right::STAT)?)?;
    write_status(memory, arguments.u32(1), &found)
}

/// Writes `found` as WASI lays it out.
pub fn write_status(memory: &mut Memory, at: u32, found: &Stat) -> Result<()> {
    let ns = |seconds: i64, ns: u64| (seconds as u64).wrapping_mul(1_000_000_000).wrapping_add(ns);
    let kind = file_type_number(FileType::from_raw_mode(found.st_mode));
    #[allow(clippy::useless_conversion)] // 32 bits on Arm
    let numbers = [
        found.st_dev,
        found.st_ino,
        u64::from(kind),
        u64::from(found.st_nlink),
        found.st_size as u64,
        ns(found.st_atime, found.st_atime_nsec),
        ns(found.st_mtime, found.st_mtime_nsec),
        ns(found.st_ctime, found.st_ctime_nsec),
    ];
    let mut bytes = [0; 64];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    memory.write(at, &bytes)
}

pub fn set_size(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::SET_SIZE)?;
    Ok(fs::ftruncate(descriptor, arguments.u64(1))?)
}

pub fn set_times(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::SET_TIMES)?;
    let times = timestamps(arguments.u64(1), arguments.u64(2), arguments.u32(3))?;
    Ok(fs::futimens(descriptor, &times)?)
}

/// What the flags say of the two times.
pub fn timestamps(access_ns: u64, change_ns: u64, flags: u32) -> Result<Timestamps> {
    // Source: utimensat(2).
    const NOW: i64 = (1 << 30) - 1;
    const OMIT: i64 = (1 << 30) - 2;
    let one = |ns: u64, given: bool, now: bool| match (given, now) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok(super::clock::span(ns)),
        (false, true) => Ok(Timespec { tv_sec: 0, tv_nsec: NOW }),
        (false, false) => Ok(Timespec { tv_sec: 0, tv_nsec: OMIT }),
    };
    Ok(Timestamps {
        last_access: one(access_ns, flags & 1 != 0, flags & 2 != 0)?,
        last_modification: one(change_ns, flags & 4 != 0, flags & 8 != 0)?,
    })
}

pub fn preopen_status(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let name = host.table.get(arguments.u32(0), 0)?.preopen.as_ref().ok_or(Errno::BADF)?;
    let length = name.len() as u32;
    memory.write_u64(arguments.u32(1), u64::from(length) << 32)
}

pub fn preopen_name(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let name = host.table.get(arguments.u32(0), 0)?.preopen.as_ref().ok_or(Errno::BADF)?;
    if arguments.u32(2) < name.len() as u32 {
        return Err(Errno::NAMETOOLONG);
    }
    memory.write(arguments.u32(1), name)
}

pub fn renumber(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.table.renumber(arguments.u32(0), arguments.u32(1))
}

pub fn seek(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let offset = arguments.u64(1) as i64;
    let whence = match arguments.u32(2) {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::INVAL)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::INVAL),
    };
    let asks = arguments.u32(2) == 1 && offset == 0;
    let needed = if asks { right::TELL } else { right::SEEK };
    let place = fs::seek(host.table.get(arguments.u32(0), needed)?, whence)?;
    memory.write_u64(arguments.u32(3), place)
}

pub fn tell(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let place = fs::tell(host.table.get(arguments.u32(0), right::TELL)?)?;
    memory.write_u64(arguments.u32(1), place)
}

pub fn read(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::READ)?;
    let count = read_parts(descriptor, memory, arguments, None)?;
    memory.write_u32(arguments.u32(3), count)
}

pub fn read_at(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::READ)?;
    let count = read_parts(descriptor, memory, arguments, Some(arguments.u64(3)))?;
    memory.write_u32(arguments.u32(4), count)
}

/// Reads part by part, as long as each is filled. What is no regular file might keep the guest
/// waiting for the second part when the first has come: it gives one part at a time.
fn read_parts(
    descriptor: &Descriptor,
    memory: &mut Memory,
    arguments: &Arguments,
    offset: Option<u64>,
) -> Result<u32> {
    if descriptor.blocking == Blocking::No && !can_read(descriptor.file.as_raw_fd()) {
        return Err(Errno::AGAIN);
    }
    let (list, parts) = (arguments.u32(1), arguments.u32(2));
    let mut total = 0_u32;
    for index in 0..parts {
        let (at, length) = memory.part(list, index)?;
        let place = memory.bytes_mut(at, length.min(MOST_BYTES - total))?;
        if place.is_empty() && index + 1 < parts {
            continue;
        }
        let wanted = place.len();
        let read = retry(|| match offset {
            Some(offset) => io::pread(descriptor, &mut *place, offset + u64::from(total)),
            None => io::read(descriptor, &mut *place),
        });
        match read {
            Ok(count) => {
                total += count as u32;
                if count < wanted || descriptor.kind != FileType::RegularFile {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(total)
}

pub fn write(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::WRITE)?;
    let most_bytes = match descriptor.blocking {
        Blocking::No => room_bytes(descriptor.file.as_raw_fd()).ok_or(Errno::AGAIN)?,
        _ => usize::MAX,
    };
    let most_bytes = u32::try_from(most_bytes).unwrap_or(MOST_BYTES).min(MOST_BYTES);
    let (slices, used) = gather(memory, arguments.u32(1), arguments.u32(2), most_bytes)?;
    let count = retry(|| io::writev(descriptor.as_fd(), &slices[..used]))?;
    memory.write_u32(arguments.u32(3), count as u32)
}

pub fn write_at(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let descriptor = host.table.get(arguments.u32(0), right::WRITE)?;
    let (slices, used) = gather(memory, arguments.u32(1), arguments.u32(2), MOST_BYTES)?;
    let offset = arguments.u64(3);
    let count = retry(|| io::pwritev(descriptor.as_fd(), &slices[..used], offset))?;
    memory.write_u32(arguments.u32(4), count as u32)
}

/// The first parts of a list that hold something, `most_bytes` in all.
fn gather<'a>(
    memory: &'a Memory,
    list: u32,
    parts: u32,
    most_bytes: u32,
) -> Result<([IoSlice<'a>; PARTS], usize)> {
    let mut slices = [IoSlice::new(&[]); PARTS];
    let (mut used, mut left) = (0, most_bytes);
    for index in 0..parts {
        let (at, length) = memory.part(list, index)?;
        let part = memory.bytes(at, length.min(left))?;
        if part.is_empty() {
            continue;
        }
        if used == PARTS {
            break;
        }
        slices[used] = IoSlice::new(part);
        used += 1;
        left -= part.len() as u32;
    }
    Ok((slices, used))
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(io::Errno::INTR) => {}
            other => return other,
        }
    }
}
