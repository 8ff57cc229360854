//! What the container's exit status says. Pure.

/// An exit status, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// Started by hand, or with arguments that `wamr-crun` never gives.
    pub const USAGE: Self = Self(2);
    /// The guest cannot be run: no plan, no module, or one that WAMR does not load. As a shell
    /// says of a file that it finds but cannot execute.
    pub const CANNOT_RUN: Self = Self(126);
    /// The guest trapped: what a native program gives that calls abort(3), 128 + SIGABRT.
    pub const TRAP: Self = Self(134);

    /// The guest called `proc_exit(status)`, or returned from `_start` with 0. The kernel keeps
    /// the low 8 bits, as for a native program.
    pub fn of_guest(status: u32) -> Self {
        Self((status & 0xff) as u8)
    }

    /// The container was told to stop by `signal`, as a shell reports it.
    pub fn of_signal(signal: i32) -> Self {
        Self(((128 + signal) & 0xff) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_what_the_kernel_would_keep() {
        let guest = [(0, 0), (1, 1), (42, 42), (126, 126), (255, 255), (256, 0), (u32::MAX, 255)];
        for (status, want) in guest {
            assert_eq!(ExitCode::of_guest(status), ExitCode(want), "proc_exit({status})");
        }
        for (signal, want) in [(libc::SIGHUP, 129), (libc::SIGINT, 130), (libc::SIGTERM, 143)] {
            assert_eq!(ExitCode::of_signal(signal), ExitCode(want), "signal {signal}");
        }
    }
}
