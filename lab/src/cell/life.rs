//! What the pods of a cell went through, and what was read meanwhile.

use wamr_record::cell::{Evidence, ProcessMemory};
use wamr_record::sample::Sample;

use super::level::Waited;
use super::plateau::Plateau;
use super::ramp::Ramp;

/// The pods' life in the cell: it ends with the ramp if they did not all start.
pub struct Life {
    /// The machine's memory right before the walk over the processes without pods.
    pub walk_before: Sample,
    /// How they started.
    pub ramp: Ramp,
    /// What came after, if they did.
    pub alive: Option<Alive>,
    /// Why they did not, or did not stay.
    pub failures: Vec<String>,
}

/// What running pods gave.
pub struct Alive {
    /// The wait for level memory; its level windows went into the plateau.
    pub settle: Waited,
    /// All sources.
    pub plateau: Plateau,
    /// What really ran, if it could be read.
    pub evidence: Option<Evidence>,
    /// Every process.
    pub attribution: Vec<ProcessMemory>,
}
