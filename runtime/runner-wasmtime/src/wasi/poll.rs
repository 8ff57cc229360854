//! Waiting for clocks and descriptors: `wamr_guest::poll` on the guest's memory and table.

use std::os::fd::{AsFd, AsRawFd};

use wamr_guest::poll::{EventBytes, SubscriptionBytes};

use super::descriptor::right;
use super::errno::{Errno, Result};
use super::memory::Memory;
use super::{Arguments, Host};

pub fn poll(host: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let count = arguments.u32(2);
    let length = |one: usize| count.checked_mul(one as u32).ok_or(Errno::FAULT);
    let subscriptions =
        memory.bytes(arguments.u32(0), length(size_of::<SubscriptionBytes>())?)?.as_chunks().0;
    // Fails before it waits, not after.
    memory.bytes(arguments.u32(1), length(size_of::<EventBytes>())?)?;
    memory.u32(arguments.u32(3))?;
    let open = |number| match host.table.get(number, right::POLL) {
        Ok(descriptor) => Ok(descriptor.as_fd().as_raw_fd()),
        Err(Errno(error)) => Err(error),
    };
    let events = wamr_guest::poll::poll(subscriptions, open).map_err(Errno)?;
    memory.write(arguments.u32(1), events.as_flattened())?;
    memory.write_u32(arguments.u32(3), events.len() as u32)
}
