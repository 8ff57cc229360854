//! Claims as data, checked against a run.
//!
//! `catalogue` reads them, `metric` names figures, `bound` says what a claim promises, `formula`
//! computes it from a study, `judge` gives the verdicts, `table`, `junit` and `document` show them.

pub mod bound;
pub mod catalogue;
pub mod document;
pub mod formula;
pub mod judge;
pub mod junit;
pub mod metric;
pub mod table;

pub use catalogue::{Catalogue, Claim, Kind};
pub use judge::{Judged, Verdict, judge};
