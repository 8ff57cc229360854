//! Clocks, chance, and letting others run.

use rustix::fs::Timespec;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_getres, clock_gettime};

use super::errno::{Errno, Result};
use super::memory::Memory;
use super::{Arguments, Host};

/// The clock `number` of preview 1.
pub fn clock(number: u32) -> Result<ClockId> {
    match number {
        0 => Ok(ClockId::Realtime),
        1 => Ok(ClockId::Monotonic),
        2 => Ok(ClockId::ProcessCPUTime),
        3 => Ok(ClockId::ThreadCPUTime),
        _ => Err(Errno::INVAL),
    }
}

/// What `clock` says now.
pub fn now_ns(clock: ClockId) -> u64 {
    in_ns(clock_gettime(clock))
}

fn in_ns(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// A span of time for the kernel.
pub fn span(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}

pub fn resolution(_: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let clock = clock(arguments.u32(0))?;
    memory.write_u64(arguments.u32(1), in_ns(clock_getres(clock)))
}

pub fn time(_: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let clock = clock(arguments.u32(0))?;
    memory.write_u64(arguments.u32(2), now_ns(clock))
}

pub fn random(_: &mut Host, memory: &mut Memory, arguments: &Arguments) -> Result<()> {
    let mut left = memory.bytes_mut(arguments.u32(0), arguments.u32(1))?;
    while !left.is_empty() {
        match getrandom(&mut *left, GetRandomFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(count) => left = left.get_mut(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

#[allow(clippy::unnecessary_wraps)] // as all functions of the table
pub fn give_way(_: &mut Host, _: &mut Memory, _: &Arguments) -> Result<()> {
    rustix::thread::sched_yield();
    Ok(())
}
