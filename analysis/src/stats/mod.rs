//! Statistics on slices of `f64`; nothing here knows what the numbers mean.

pub mod bootstrap;
pub mod equivalence;
pub mod holm;
pub mod quantile;
pub mod regression;
pub mod student;
pub mod trend;

use serde::Serialize;

/// How far a figure may be off, and where that is known from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Spread {
    /// One value: nothing can be said.
    Single,
    /// Two values: the lower and the higher.
    Range {
        /// The lower value.
        low: f64,
        /// The higher value.
        high: f64,
    },
    /// Percentile interval of a block bootstrap over the repetitions.
    Interval {
        /// 2.5 % quantile of the draws.
        low: f64,
        /// 97.5 % quantile of the draws.
        high: f64,
    },
}

impl Spread {
    /// Both ends, where there are two.
    pub fn ends(self) -> Option<(f64, f64)> {
        match self {
            Self::Single => None,
            Self::Range { low, high } | Self::Interval { low, high } => Some((low, high)),
        }
    }
}
