//! From a run directory to a report: numbers, intervals, figures, pages.
//!
//! ```text
//! run directory -> verify -> cell_figures (one cell) -> group (repetitions) -> study (the run)
//!               -> verdict, figure, report (HTML, Markdown, CSV, JSON)
//! ```
//!
//! Nothing here knows the time, the network or a node: the same run gives the same bytes.

pub mod attribution;
pub mod cell_figures;
pub mod churn;
pub mod claims;
pub mod cli;
pub mod command;
pub mod conditions;
pub mod error;
pub mod estimator;
pub mod evidence;
pub mod experiment;
pub mod figure;
pub mod format;
pub mod group;
pub mod load;
pub mod measure;
pub mod report;
pub mod stats;
pub mod study;
pub mod system;
pub mod terminal;
pub mod timeline;
pub mod verdict;
pub mod verify;
