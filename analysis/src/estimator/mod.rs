//! Estimators: slices of readings in, one estimate out. Each names its formula.
//!
//! Memory comes as *taken* bytes (MemTotal minus the free column, or a working set), so that more
//! is always more and an estimate of a pod's cost is positive.

pub mod bracket;
pub mod paper;
pub mod slope;
pub mod start;
