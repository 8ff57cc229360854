//! The verbs of the command line, one file each.

pub mod create;
pub mod delete;
pub mod features;
pub mod kill;
pub mod list;
pub mod run;
pub mod start;
pub mod state;
