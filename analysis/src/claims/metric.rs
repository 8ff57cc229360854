//! Figures that claims speak of, by the names that they give them. Pure.

use serde::{Serialize, Serializer};

use crate::measure::{Measure, Unit};

/// A figure that claims speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    /// As claims name it.
    pub name: &'static str,
    /// As the paper estimates it.
    pub paper: Measure,
    /// Against the mean of the levels before and after, where that makes a difference.
    pub bracket: Measure,
    /// Unit in which claims speak of it.
    pub unit: &'static str,
    /// How many of the measure's units that is.
    pub scale_log10: u32,
}

const METRICS: [Metric; 6] = [
    metric("free", Measure::FreePaper, Measure::FreeBracket, "MB", 6),
    metric("available", Measure::AvailableBracket, Measure::AvailableBracket, "MB", 6),
    metric("metrics-server", Measure::NodeMetrics, Measure::NodeMetricsBracket, "MB", 6),
    metric("start", Measure::StartLast, Measure::StartLast, "s", 9),
    metric("start-half", Measure::StartP50, Measure::StartP50, "s", 9),
    metric("private", Measure::PartContainerPrivate, Measure::PartContainerPrivate, "kB", 3),
];

const fn metric(
    name: &'static str,
    paper: Measure,
    bracket: Measure,
    unit: &'static str,
    scale_log10: u32,
) -> Metric {
    Metric { name, paper, bracket, unit, scale_log10 }
}

impl Metric {
    /// The metric that claims call `name`.
    pub fn named(name: &str) -> Option<Self> {
        METRICS.into_iter().find(|metric| metric.name == name)
    }

    /// True if an emulated processor makes it worthless.
    pub fn is_time(self) -> bool {
        self.paper.unit() == Unit::Nanoseconds
    }

    /// The measure's units in one of the claim's.
    pub fn scale(self) -> f64 {
        10_f64.powi(self.scale_log10 as i32)
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}
