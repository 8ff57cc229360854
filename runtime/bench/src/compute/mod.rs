//! What programs take: native, interpreted, compiled, and with other engines.

pub mod build;
pub mod cli;
pub mod engine;
pub mod facts;
pub mod page;
pub mod program;
pub mod run;

use serde::{Deserialize, Serialize};

/// One program run once by one engine: a line of the raw data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// From 0.
    pub round: u32,
    /// The place in the round's order.
    pub place: u32,
    /// Row of [`program::PROGRAMS`].
    pub program: String,
    /// Row of [`engine::ENGINES`].
    pub engine: String,
    /// The version of the runtime that it is part of.
    pub version: String,
    /// From the spawn of the runtime to its end.
    pub wall_ns: u64,
    /// From the spawn of the runtime to the first byte that the program printed.
    pub first_output_ns: u64,
    /// How long the program's work took, by its own clock.
    pub duration_ns: u64,
}

/// What could not be measured, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The program; none: any.
    pub program: String,
    /// The engine.
    pub engine: String,
    /// What it said.
    pub reason: String,
}

/// Something that the figures depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub fact: String,
    /// How it is here.
    pub value: String,
}
