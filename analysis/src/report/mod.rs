//! The report: one page without outside assets, its Markdown twin, figures, CSV and JSON.
//!
//! `page` puts it together, the `*_tables` and `prose` fill it, `render` makes text of it and
//! `write` puts the files in place at once.

pub mod memory_tables;
pub mod page;
pub mod proof_tables;
pub mod prose;
pub mod render;
pub mod run_tables;
pub mod table;
pub mod write;
