//! `poll_oneoff` of preview 1: waiting for clocks and descriptors, in any combination, the same
//! for every engine.

use std::ffi::c_int;

use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, clockid_t, pollfd};

use crate::sys::{clock_now_ns, readable_bytes, wait_for};

/// A subscription as it lies in the guest's memory.
pub type SubscriptionBytes = [u8; 48];
/// An event as it lies in the guest's memory.
pub type EventBytes = [u8; 32];
/// WASI's number of an error.
pub type Errno = u16;

const BADF: Errno = 8;
const INVAL: Errno = 28;
const NOMEM: Errno = 48;

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;
/// The flag of an event whose other end is gone.
const HANGUP: u16 = 1;

/// More than a guest waits for at once, and less than would fill memory.
const MOST: usize = 1 << 16;

struct Subscription {
    user_data: u64,
    kind: u8,
    subject: Subject,
}

/// What is waited for.
enum Subject {
    Moment {
        clock: clockid_t,
        ns: u64,
    },
    File(c_int),
    /// It cannot be waited for: an event by itself.
    Wrong(Errno),
}

/// Waits until an event of `subscriptions` has come, and gives all that have. `open` finds the
/// file behind a descriptor of the guest's, if the guest may poll it.
///
/// # Errors
/// The number for the guest: no subscription at all, too many, or one of an unknown kind; no
/// memory.
pub fn poll(
    subscriptions: &[SubscriptionBytes],
    mut open: impl FnMut(u32) -> Result<c_int, Errno>,
) -> Result<Vec<EventBytes>, Errno> {
    if subscriptions.is_empty() || subscriptions.len() > MOST {
        return Err(INVAL);
    }
    let read = subscriptions.iter().map(|bytes| Subscription::read(bytes, &mut open));
    let subscriptions = read.collect::<Result<Vec<_>, _>>()?;
    let mut files = Files::of(&subscriptions);
    loop {
        wait_for(&mut files.0, time_left_ns(&subscriptions)).map_err(|error| number(&error))?;
        let events: Vec<_> = subscriptions.iter().filter_map(|one| one.event(&files)).collect();
        // The real-time clock may have been set back.
        if !events.is_empty() {
            return Ok(events);
        }
    }
}

fn number(error: &std::io::Error) -> Errno {
    if error.raw_os_error() == Some(libc::ENOMEM) { NOMEM } else { INVAL }
}

impl Subscription {
    /// Source: WASI `preview1/witx/typenames.witx`, `subscription`.
    fn read(
        bytes: &SubscriptionBytes,
        open: &mut impl FnMut(u32) -> Result<c_int, Errno>,
    ) -> Result<Self, Errno> {
        let kind = bytes[8];
        let what = u32::from_le_bytes(array(bytes, 16));
        let subject = match kind {
            CLOCK => {
                let timeout_ns = u64::from_le_bytes(array(bytes, 24));
                let flags = u16::from_le_bytes(array(bytes, 40));
                moment(what, timeout_ns, flags & 1 != 0)
            }
            READ | WRITE => open(what).map_or_else(Subject::Wrong, Subject::File),
            _ => return Err(INVAL),
        };
        Ok(Self { user_data: u64::from_le_bytes(array(bytes, 0)), kind, subject })
    }

    /// The event, if it has come.
    fn event(&self, files: &Files) -> Option<EventBytes> {
        match self.subject {
            Subject::Wrong(error) => Some(self.event_with(error, 0, 0)),
            Subject::Moment { clock, ns } => {
                (clock_now_ns(clock) >= ns).then(|| self.event_with(0, 0, 0))
            }
            Subject::File(fd) => {
                let wanted = if self.kind == READ { POLLIN } else { POLLOUT };
                let came = files.came(fd) & (wanted | POLLERR | POLLHUP | POLLNVAL);
                (came != 0).then(|| {
                    let error = if came & POLLNVAL != 0 { BADF } else { 0 };
                    let readable = if self.kind == READ { readable_bytes(fd) } else { 0 };
                    let flags = if came & POLLHUP != 0 { HANGUP } else { 0 };
                    self.event_with(error, readable, flags)
                })
            }
        }
    }

    /// Source: WASI `preview1/witx/typenames.witx`, `event`.
    fn event_with(&self, error: Errno, readable: u64, flags: u16) -> EventBytes {
        let mut bytes = [0; size_of::<EventBytes>()];
        bytes[..8].copy_from_slice(&self.user_data.to_le_bytes());
        bytes[8..10].copy_from_slice(&error.to_le_bytes());
        bytes[10] = self.kind;
        bytes[16..24].copy_from_slice(&readable.to_le_bytes());
        bytes[24..26].copy_from_slice(&flags.to_le_bytes());
        bytes
    }
}

/// The `N` bytes of `bytes` from `at` on.
fn array<const N: usize>(bytes: &SubscriptionBytes, at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// When a clock of preview 1 will show what is waited for.
fn moment(clock: u32, timeout_ns: u64, absolute: bool) -> Subject {
    let clock = match clock {
        // How long something takes does not change when the real-time clock is set.
        0 if !absolute => libc::CLOCK_MONOTONIC,
        0 => libc::CLOCK_REALTIME,
        1 => libc::CLOCK_MONOTONIC,
        2 => libc::CLOCK_PROCESS_CPUTIME_ID,
        3 => libc::CLOCK_THREAD_CPUTIME_ID,
        _ => return Subject::Wrong(INVAL),
    };
    let from_ns = if absolute { 0 } else { clock_now_ns(clock) };
    Subject::Moment { clock, ns: from_ns.saturating_add(timeout_ns) }
}

/// How long until the first clock; nothing if there is none.
fn time_left_ns(subscriptions: &[Subscription]) -> Option<u64> {
    let times = subscriptions.iter().filter_map(|one| match one.subject {
        Subject::Moment { clock, ns } => Some(ns.saturating_sub(clock_now_ns(clock))),
        Subject::Wrong(_) => Some(0),
        Subject::File(_) => None,
    });
    times.min()
}

/// The files to poll by their descriptors, each once: the kernel takes no more entries than the
/// process may have files open, and a guest may wait for reading and writing.
struct Files(Vec<pollfd>);

impl Files {
    fn of(subscriptions: &[Subscription]) -> Self {
        let mut files: Vec<pollfd> = Vec::new();
        for one in subscriptions {
            let Subject::File(fd) = one.subject else { continue };
            let events = if one.kind == READ { POLLIN } else { POLLOUT };
            match files.binary_search_by_key(&fd, |file| file.fd) {
                Ok(at) => files[at].events |= events,
                Err(at) => files.insert(at, pollfd { fd, events, revents: 0 }),
            }
        }
        Self(files)
    }

    fn came(&self, fd: c_int) -> i16 {
        let at = self.0.binary_search_by_key(&fd, |file| file.fd);
        at.map_or(0, |at| self.0[at].revents)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn clock(user_data: u64, clock: u32, timeout_ns: u64, flags: u16) -> SubscriptionBytes {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&user_data.to_le_bytes());
        bytes[16..20].copy_from_slice(&clock.to_le_bytes());
        bytes[24..32].copy_from_slice(&timeout_ns.to_le_bytes());
        bytes[40..42].copy_from_slice(&flags.to_le_bytes());
        bytes
    }

    fn file(user_data: u64, kind: u8, fd: c_int) -> SubscriptionBytes {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&user_data.to_le_bytes());
        bytes[8] = kind;
        bytes[16..20].copy_from_slice(&fd.to_le_bytes());
        bytes
    }

    type Told<'a> = Result<&'a [(u64, Errno)], Errno>;

    /// User data and error of the events; descriptor 99 is not open.
    fn events(subscriptions: &[SubscriptionBytes]) -> Result<Vec<(u64, Errno)>, Errno> {
        let open = |fd| if fd == 99 { Err(BADF) } else { Ok(fd as c_int) };
        let events = poll(subscriptions, open)?;
        let read = |event: &EventBytes| (u64::from(event[0]), u16::from(event[8]));
        Ok(events.iter().map(read).collect())
    }

    #[test]
    fn what_has_come_is_told() {
        const HOUR: u64 = 3_600_000_000_000;
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (idle, _its_writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let (full, idle) = (reader.as_raw_fd(), idle.as_raw_fd());
        let writer = writer.as_raw_fd();
        let table: &[(&str, &[SubscriptionBytes], Told)] = &[
            ("nothing", &[], Err(INVAL)),
            ("an unknown kind", &[file(1, 3, full)], Err(INVAL)),
            ("the first of two clocks", &[clock(1, 1, HOUR, 0), clock(2, 1, 1, 0)], Ok(&[(2, 0)])),
            ("both of two clocks", &[clock(1, 0, 0, 0), clock(2, 1, 0, 0)], Ok(&[(1, 0), (2, 0)])),
            (
                "an absolute clock beside an idle file",
                &[clock(1, 0, 1, 1), file(2, READ, idle)],
                Ok(&[(1, 0)]),
            ),
            (
                "a file beside an absolute clock",
                &[clock(1, 1, u64::MAX, 1), file(2, READ, full)],
                Ok(&[(2, 0)]),
            ),
            ("the processor's clocks", &[clock(1, 2, 1, 0), clock(2, 3, HOUR, 0)], Ok(&[(1, 0)])),
            ("an unknown clock", &[clock(1, 4, 1, 0), clock(2, 1, HOUR, 0)], Ok(&[(1, INVAL)])),
            (
                "a closed descriptor",
                &[file(1, READ, 99), file(2, READ, idle), file(3, READ, full)],
                Ok(&[(1, BADF), (3, 0)]),
            ),
            (
                "a file for both, twice",
                &[file(1, WRITE, writer), file(2, READ, writer), file(3, WRITE, writer)],
                Ok(&[(1, 0), (3, 0)]),
            ),
        ];
        for (case, subscriptions, want) in table {
            assert_eq!(events(subscriptions), want.map(<[_]>::to_vec), "{case}");
        }
    }

    #[test]
    fn an_event_says_how_much_can_be_read_and_that_the_other_end_is_gone() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"four").unwrap();
        let told = || {
            let event = poll(&[file(7, READ, 0)], |_| Ok(reader.as_raw_fd())).unwrap()[0];
            (event[10], event[16], event[24])
        };
        assert_eq!(told(), (READ, 4, 0));
        drop(writer);
        assert_eq!(told(), (READ, 4, 1));
    }
}
