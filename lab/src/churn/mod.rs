//! Pods that are replaced again and again: what the node's programs and the kernel keep of each.
//!
//! ```text
//! pods start -> reading -> the oldest tenth is deleted, its successors start -> … -> reading -> …
//! ```

pub mod figures;
pub mod plan;
pub mod rounds;
pub mod series;
