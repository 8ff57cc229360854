//! opencontainers/runtime-tools' validation programs: run, recorded, compared, put on a page.

pub mod page;
pub mod record;
pub mod run;
pub mod words;
