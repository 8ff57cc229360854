//! How fast pods arrive, and how long after its own request each reaches a condition. Pure; the lab
//! and the report share it, so that a threshold is judged by the figure that is shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::Pod;

/// Pods per second, as `20/s` or `0.5/s`: the lab asks for each by itself, at even distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arrival {
    /// Pods in a thousand seconds, so that half a pod per second can be said.
    per_1000_s: u32,
}

/// More than any API server takes from one client.
const PER_SECOND_MAX: f64 = 1000.0;

impl Arrival {
    /// When the pod of this number, from 0, is asked for: nanoseconds after the first.
    pub fn offset_ns(self, number: u32) -> u64 {
        u64::from(number) * 1_000_000_000_000 / u64::from(self.per_1000_s)
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.per_1000_s / 1000, self.per_1000_s % 1000);
        if part == 0 {
            return write!(formatter, "{whole}/s");
        }
        let digits = format!("{part:03}");
        write!(formatter, "{whole}.{}/s", digits.trim_end_matches('0'))
    }
}

impl TryFrom<String> for Arrival {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let per_second = text.strip_suffix("/s").and_then(|rate| rate.trim().parse::<f64>().ok());
        let fits = |rate: &f64| (0.001..=PER_SECOND_MAX).contains(rate);
        let rate = per_second.filter(fits).ok_or_else(|| {
            format!("{text:?} is no rate: pods per second, from \"0.001/s\" to \"1000/s\"")
        })?;
        Ok(Self { per_1000_s: (rate * 1000.0).round() as u32 })
    }
}

impl From<Arrival> for String {
    fn from(arrival: Arrival) -> Self {
        arrival.to_string()
    }
}

/// What a pod goes through, in this order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It was given to a node.
    Scheduled,
    /// Its sandbox and network are there.
    Sandbox,
    /// Its container is made.
    Created,
    /// Its container is started, by the kubelet.
    Started,
    /// Its workload has begun.
    FirstInstruction,
}

impl Condition {
    /// All, in their order.
    pub const ALL: [Self; 5] =
        [Self::Scheduled, Self::Sandbox, Self::Created, Self::Started, Self::FirstInstruction];

    /// Word for it, as experiments have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Sandbox => "sandbox",
            Self::Created => "created",
            Self::Started => "started",
            Self::FirstInstruction => "first-instruction",
        }
    }

    /// When `pod` reached it.
    pub fn stamp_ns(self, pod: &Pod) -> Option<i64> {
        match self {
            Self::Scheduled => pod.scheduled_ns,
            Self::Sandbox => pod.sandbox_ns,
            Self::Created => pod.created_ns,
            Self::Started => pod.started_ns,
            Self::FirstInstruction => pod.first_instruction_ns,
        }
    }

    /// How long after its request each pod reached it, ascending; `None` unless all did.
    pub fn delays_ns(self, pods: &[Pod]) -> Option<Vec<i64>> {
        let delay = |pod: &Pod| Some(self.stamp_ns(pod)?.saturating_sub(pod.requested_ns));
        let mut delays = pods.iter().map(delay).collect::<Option<Vec<i64>>>()?;
        delays.sort_unstable();
        Some(delays)
    }
}

/// The percentile of values in ascending order; `None` without any. Between two it interpolates.
///
/// Source: Hyndman and Fan, "Sample quantiles in statistical packages", definition 7.
pub fn percentile(ascending: &[i64], percent: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let place = (percent / 100.0).clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (low, high) = (ascending[below] as f64, ascending[above] as f64);
    Some(low + (high - low) * (place - below as f64))
}

/// A limit that an experiment sets: a run in which it is exceeded does not end with status 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What the pods have to reach.
    pub condition: Condition,
    /// How many of them, in percent.
    pub percentile: f64,
    /// How long after their own requests.
    pub at_most_ms: u64,
}

impl Threshold {
    /// In words, if the pods of a cell exceed it or cannot be judged.
    pub fn exceeded(&self, pods: &[Pod]) -> Option<String> {
        let Self { condition, percentile: percent, at_most_ms } = *self;
        let name = format!("{} p{percent}", condition.word());
        let Some(delays) = condition.delays_ns(pods) else {
            return Some(format!("{name}: not every pod has a stamp of it"));
        };
        let ms = percentile(&delays, percent)? / 1e6;
        (ms > at_most_ms as f64).then(|| format!("{name}: {ms:.0} ms, at most {at_most_ms} wanted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(requested_ns: i64, scheduled_ns: Option<i64>) -> Pod {
        let line = serde_json::json!({
            "name": "p", "uid": "u", "container_id": null, "pid": null, "cgroup": null,
            "requested_ns": requested_ns, "scheduled_ns": scheduled_ns, "running_ns": null,
            "first_instruction_ns": null, "log_ns": null,
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn rates_are_read_and_written() {
        let parse = |text: &str| Arrival::try_from(text.to_owned());
        for (text, shown, third_ns) in [
            ("20/s", "20/s", 100_000_000),
            ("0.5/s", "0.5/s", 4_000_000_000),
            ("2.50/s", "2.5/s", 800_000_000),
            (" 1000/s", "1000/s", 2_000_000),
        ] {
            let arrival = parse(text).unwrap();
            assert_eq!((arrival.to_string().as_str(), arrival.offset_ns(2)), (shown, third_ns));
            assert_eq!(parse(shown), Ok(arrival));
        }
        for text in ["", "20", "0/s", "-1/s", "1001/s", "NaN/s", "20/m", "inf/s"] {
            assert!(parse(text).unwrap_err().contains("is no rate"), "{text}");
        }
    }

    #[test]
    fn each_pod_counts_from_its_own_request() {
        let pods = [pod(100, Some(130)), pod(200, Some(210)), pod(300, Some(320))];
        let delays = Condition::Scheduled.delays_ns(&pods).unwrap();
        assert_eq!(delays, [10, 20, 30]);
        let quantiles = [0.0, 50.0, 75.0, 100.0].map(|percent| percentile(&delays, percent));
        assert_eq!(quantiles, [Some(10.0), Some(20.0), Some(25.0), Some(30.0)]);
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(Condition::Sandbox.delays_ns(&pods), None);
        let one_missing = [pod(100, Some(130)), pod(200, None)];
        assert_eq!(Condition::Scheduled.delays_ns(&one_missing), None);
    }

    #[test]
    fn a_threshold_is_kept_exceeded_or_cannot_be_judged() {
        let threshold =
            |condition, percentile, at_most_ms| Threshold { condition, percentile, at_most_ms };
        let after_ms = |ms: i64| pod(0, Some(ms * 1_000_000));
        let pods: Vec<Pod> = (1..=101).map(after_ms).collect();
        let scheduled = |percentile, at_most_ms| {
            threshold(Condition::Scheduled, percentile, at_most_ms).exceeded(&pods)
        };
        assert_eq!(scheduled(99.0, 100), None);
        let exceeded = scheduled(99.0, 99).unwrap();
        assert_eq!(exceeded, "scheduled p99: 100 ms, at most 99 wanted");
        assert_eq!(scheduled(50.0, 51), None);
        let unknown = threshold(Condition::Started, 50.0, 1000).exceeded(&pods).unwrap();
        assert!(unknown.contains("not every pod"), "{unknown}");
    }
}
