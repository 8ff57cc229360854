//! Writing a run directory; its layout stands in the crate `wamr_record`.

pub mod journal;
pub mod manifest;
pub mod session;
pub mod unfinished;
pub mod writer;
