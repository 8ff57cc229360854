//! Waiting for clocks and descriptors.

use rustix::event::{PollFd, PollFlags, poll as wait};
use rustix::fs::FileType;
use rustix::time::ClockId;

use super::clock::{clock, now_ns, span};
use super::descriptor::{Descriptor, Table, right};
use super::errno::{Errno, Result};
use super::memory::Memory;
use super::{Arguments, Host};

const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
/// More than any guest waits for at once.
const MOST: u32 = 4096;
const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

/// What the guest waits for.
enum Subject<'a> {
    Clock {
        id: ClockId,
        until_ns: u64,
    },
    File {
        descriptor: &'a Descriptor,
    },
    /// It cannot be waited for: an event by itself.
    Wrong(Errno),
}

struct Subscription<'a> {
    user_data: u64,
    kind: u8,
    subject: Subject<'a>,
}

pub fn poll(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let count = arguments.u32(2);
    if count == 0 || count > MOST {
        return Err(Errno::INVAL);
    }
    let mut subscriptions = Vec::with_capacity(count as usize);
    for index in 0..count {
        let at = arguments.u32(0).checked_add(index * SUBSCRIPTION_BYTES).ok_or(Errno::FAULT)?;
        subscriptions.push(read_subscription(&host.table, memory, at)?);
    }
    // Fails before it waits, not after.
    memory.bytes_mut(arguments.u32(1), count * EVENT_BYTES)?;
    let mut at = arguments.u32(1);
    let mut written = 0;
    for event in wait_for(&subscriptions)? {
        memory.write(at, &event)?;
        // The last one may end where memory does.
        at = at.wrapping_add(EVENT_BYTES);
        written += 1;
    }
    memory.write_u32(arguments.u32(3), written)
}

fn read_subscription<'a>(table: &'a Table, memory: &Memory, at: u32) -> Result<Subscription<'a>> {
    // The whole of it lies in memory: no sum below overflows.
    memory.bytes(at, SUBSCRIPTION_BYTES)?;
    let kind = memory.u8(at + 8)?;
    let subject = match kind {
        CLOCK => {
            let (id, timeout) = (memory.u32(at + 16)?, memory.u64(at + 24)?);
            let absolute = memory.u16(at + 40)? & 1 != 0;
            match clock(id) {
                Ok(id) if absolute => Subject::Clock { id, until_ns: timeout },
                Ok(id) => Subject::Clock { id, until_ns: now_ns(id).saturating_add(timeout) },
                Err(error) => Subject::Wrong(error),
            }
        }
        READ | WRITE => match table.get(memory.u32(at + 16)?, right::POLL) {
            Ok(descriptor) => Subject::File { descriptor },
            Err(error) => Subject::Wrong(error),
        },
        _ => return Err(Errno::INVAL),
    };
    Ok(Subscription { user_data: memory.u64(at)?, kind, subject })
}

/// The events that have come; waits until there is one.
fn wait_for(subscriptions: &[Subscription]) -> Result<Vec<[u8; EVENT_BYTES as usize]>> {
    let mut polled = Vec::new();
    for one in subscriptions {
        if let Subject::File { descriptor } = one.subject {
            let flags = if one.kind == READ { PollFlags::IN } else { PollFlags::OUT };
            polled.push(PollFd::new(descriptor, flags));
        }
    }
    loop {
        let wrong = subscriptions.iter().any(|one| matches!(one.subject, Subject::Wrong(_)));
        let left = if wrong { Some(0) } else { time_left_ns(subscriptions) };
        match wait(&mut polled, left.map(span).as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled.iter();
        let events: Vec<_> = subscriptions
            .iter()
            .filter_map(|one| match one.subject {
                Subject::Wrong(error) => Some(event(one, error.0, 0, 0)),
                Subject::Clock { id, until_ns } => {
                    (now_ns(id) >= until_ns).then(|| event(one, 0, 0, 0))
                }
                Subject::File { descriptor } => {
                    let came = ready.next().map_or(PollFlags::empty(), PollFd::revents);
                    (!came.is_empty()).then(|| file_event(one, descriptor, came))
                }
            })
            .collect();
        // The real-time clock may have been set back.
        if !events.is_empty() {
            return Ok(events);
        }
    }
}

/// How long until the first clock; nothing if there is none.
fn time_left_ns(subscriptions: &[Subscription]) -> Option<u64> {
    let clocks = subscriptions.iter().filter_map(|one| match one.subject {
        Subject::Clock { id, until_ns } => Some(until_ns.saturating_sub(now_ns(id))),
        _ => None,
    });
    clocks.min()
}

fn file_event(one: &Subscription, descriptor: &Descriptor, came: PollFlags) -> [u8; 32] {
    let readable = match (one.kind, descriptor.kind) {
        (READ, FileType::RegularFile) => {
            let end = rustix::fs::fstat(descriptor).map_or(0, |found| found.st_size as u64);
            end.saturating_sub(rustix::fs::tell(descriptor).unwrap_or(0))
        }
        (READ, _) => rustix::io::ioctl_fionread(descriptor).unwrap_or(0),
        _ => 0,
    };
    let error = if came.contains(PollFlags::NVAL) { Errno::BADF.0 } else { 0 };
    event(one, error, readable, u16::from(came.contains(PollFlags::HUP)))
}

fn event(one: &Subscription, error: u16, readable: u64, flags: u16) -> [u8; 32] {
    let mut bytes = [0; EVENT_BYTES as usize];
    bytes[..8].copy_from_slice(&one.user_data.to_le_bytes());
    bytes[8..10].copy_from_slice(&error.to_le_bytes());
    bytes[10] = one.kind;
    bytes[16..24].copy_from_slice(&readable.to_le_bytes());
    bytes[24..26].copy_from_slice(&flags.to_le_bytes());
    bytes
}
