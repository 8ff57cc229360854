//! The report on pods that were replaced again and again (`wamr-lab churn`).
//!
//! ```text
//! run directory -> load -> trends (a slope per figure of each system) -> tables, page
//! ```

pub mod load;
pub mod page;
pub mod tables;
pub mod trends;
