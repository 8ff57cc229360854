//! The protocol of one cell.
//!
//! ```text
//! Before ── create ── Ramp ── Settle ── Plateau ── delete ── Delete ── After
//!   B0                                     P                            B1, the next cell's B0
//! ```
//!
//! Before, Plateau and After consist of level memory alone: the samples taken while waiting for
//! it are kept apart (`settling.ndjson`, and the phase Settle).

pub mod events;
pub mod failure;
pub mod level;
pub mod life;
pub mod plateau;
pub mod protocol;
pub mod ramp;
pub mod record;
pub mod removal;
pub mod start_stamp;
