//! `poll_oneoff` for guests of WAMR, in place of WAMR's own, which knows one relative clock beside
//! descriptors and no more.
//!
//! WAMR alone knows the files behind a guest's descriptors, and whether it may poll them. It is
//! asked by its own `poll_oneoff`, one descriptor at a time, and where that would wait, the file is
//! noted instead.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use wamr_guest::poll::{Errno, EventBytes, SubscriptionBytes, poll};

use super::intercept::Kept;

/// A subscription where C wants one.
#[repr(C, align(8))]
struct Subscription(SubscriptionBytes);

/// An event where C wants one.
#[repr(C, align(8))]
struct Event(EventBytes);

unsafe extern "C" {
    fn __real_wasmtime_ssp_poll_oneoff(
        environment: *mut c_void,
        table: *mut c_void,
        subscriptions: *const Subscription,
        events: *mut Event,
        count: usize,
        event_count: *mut usize,
    ) -> Errno;
}

/// What WAMR would have polled. The guest has one thread.
static ASKED: AtomicI32 = AtomicI32::new(-1);

/// The file behind the guest's descriptor `number`, if the guest may poll it.
///
/// # Safety
/// `environment` and `table` are those that WAMR passed to the function that calls this.
pub unsafe fn file_behind(
    environment: *mut c_void,
    table: *mut c_void,
    number: u32,
) -> Result<c_int, Errno> {
    const WRITE: u8 = 2;
    let mut subscription = Subscription([0; size_of::<SubscriptionBytes>()]);
    subscription.0[8] = WRITE;
    subscription.0[16..20].copy_from_slice(&number.to_le_bytes());
    let mut event = Event([0; size_of::<EventBytes>()]);
    let mut count = 0;
    // SAFETY: one subscription, room for one event, and the table is WAMR's.
    let error = unsafe {
        __real_wasmtime_ssp_poll_oneoff(
            environment,
            table,
            &raw const subscription,
            &raw mut event,
            1,
            &raw mut count,
        )
    };
    let told = u16::from_le_bytes([event.0[8], event.0[9]]);
    match if error == 0 { told } else { error } {
        0 => Ok(ASKED.load(Ordering::Relaxed)),
        error => Err(error),
    }
}

/// A list in the guest's memory; where it is empty, its place says nothing.
///
/// # Safety
/// `list` points to `count` things of which any bits are one, and which nobody writes meanwhile.
pub unsafe fn guest_slice<'a, T>(list: *const T, count: usize) -> &'a [T] {
    if list.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(list, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_blocking_op_poll(
    _environment: *mut c_void,
    files: *const libc::pollfd,
    _count: libc::nfds_t,
    _timeout_ms: c_int,
    ready: *mut c_int,
) -> Errno {
    // SAFETY: WAMR polls at least one file, for `file_behind` alone, and has a place for the
    // number of those that are ready.
    unsafe {
        ASKED.store((*files).fd, Ordering::Relaxed);
        *ready = 0;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_poll_oneoff(
    environment: *mut c_void,
    table: *mut c_void,
    subscriptions: *const SubscriptionBytes,
    events: *mut EventBytes,
    count: usize,
    event_count: *mut usize,
) -> Errno {
    // SAFETY: WAMR has checked that so many lie in the guest's memory, which nobody else writes
    // until this returns.
    let subscriptions = unsafe { guest_slice(subscriptions, count) };
    // SAFETY: the arguments are WAMR's.
    let open = |number| unsafe { file_behind(environment, table, number) };
    match poll(subscriptions, open) {
        Ok(come) => {
            // SAFETY: WAMR has checked that there is room for `count` events, and no subscription
            // gives more than one; the subscriptions, which may lie there too, are not used again.
            unsafe {
                std::ptr::copy_nonoverlapping(come.as_ptr(), events, come.len());
                *event_count = come.len();
            }
            0
        }
        Err(error) => error,
    }
}

#[used]
static KEPT: [Kept; 2] = [
    Kept(__wrap_blocking_op_poll as *const c_void),
    Kept(__wrap_wasmtime_ssp_poll_oneoff as *const c_void),
];
