//! What every runner of Wasm containers does alike: it reads the plan that `wamr-crun` hands over,
//! fills the gaps among the standard streams, ends on stop signals, opens no file that shows the
//! kernel, waits for clocks and descriptors, says how the guest ended, and gives back the memory
//! that starting took.
//!
//! It is linked into the process of each container, so it keeps nothing and depends on next to
//! nothing.

pub mod exit_code;
pub mod failure;
pub mod handover;
pub mod memory;
pub mod nonblocking;
pub mod poll;
pub mod preopen;
pub mod signals;
pub mod stack;
pub mod stdio;
pub mod sys;
pub mod working_directory;

pub use exit_code::ExitCode;
pub use failure::Failure;
