//! The wall clock of this kernel, which the node shares.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch (`CLOCK_REALTIME`); 0 for a clock set before it.
pub fn now_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}
