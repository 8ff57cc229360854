//! Can a run be trusted? Digests, unknown and missing files, schema, and counts that must agree.
//!
//! `files` looks at the tree and its digests, `lines` at what the files say, `sums` at figures that
//! contradict each other, `cells` at whether a cell that claims to be valid holds what its protocol
//! promises. `check` calls them; what they find is a `defect`.

pub mod cells;
pub mod check;
pub mod defect;
pub mod files;
pub mod lines;
pub mod sums;
