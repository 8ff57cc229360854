//! How long pods that arrive one by one take to reach each condition.

use std::collections::BTreeMap;

use wamr_record::arrival::{Condition, percentile};
use wamr_record::cell::Pod;

use crate::measure::Measure;

/// What is told of each condition, in percent.
pub const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 100.0];

/// The measures of a condition, one per percentile.
pub fn measures(condition: Condition) -> [Measure; 4] {
    use Measure as M;
    match condition {
        Condition::Scheduled => {
            [M::ScheduledP50, M::ScheduledP90, M::ScheduledP99, M::ScheduledLast]
        }
        Condition::Sandbox => [M::SandboxP50, M::SandboxP90, M::SandboxP99, M::SandboxLast],
        Condition::Created => [M::CreatedP50, M::CreatedP90, M::CreatedP99, M::CreatedLast],
        Condition::Started => [M::StartedP50, M::StartedP90, M::StartedP99, M::StartedLast],
        Condition::FirstInstruction => [M::StartP50, M::StartP90, M::StartP99, M::StartLast],
    }
}

/// True for what only pods have that arrive one by one.
pub fn is_of_arrival(measure: Measure) -> bool {
    // The others are those of every cell.
    const OF_ALL: [Measure; 5] = [
        Measure::ScheduledP50,
        Measure::ScheduledLast,
        Measure::StartP50,
        Measure::StartP90,
        Measure::StartLast,
    ];
    let of_conditions = Condition::ALL.into_iter().flat_map(measures);
    of_conditions.into_iter().any(|one| one == measure) && !OF_ALL.contains(&measure)
}

/// Adds the percentiles of a cell; those of a condition only if every pod has reached it.
pub fn put(pods: &[Pod], wanted: u32, values: &mut BTreeMap<Measure, f64>) {
    if pods.is_empty() || pods.len() as u64 != u64::from(wanted) {
        return;
    }
    for condition in Condition::ALL {
        let Some(delays) = condition.delays_ns(pods) else { continue };
        for (measure, percent) in measures(condition).into_iter().zip(PERCENTILES) {
            values.extend(percentile(&delays, percent).map(|value| (measure, value)));
        }
    }
}

#[test]
fn each_condition_has_its_own_measures() {
    let mut all: Vec<Measure> = Condition::ALL.into_iter().flat_map(measures).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((count, all.len()), (20, 20));
    assert!(is_of_arrival(Measure::SandboxP50) && is_of_arrival(Measure::StartP99));
    assert!(!is_of_arrival(Measure::StartP50) && !is_of_arrival(Measure::RunningP50));
}

#[test]
fn percentiles_count_from_each_pods_request() {
    let pod = |number: i64| -> Pod {
        serde_json::from_value(serde_json::json!({
            "name": "p", "uid": "u", "container_id": null, "pid": null, "cgroup": null,
            "requested_ns": 1000 * number, "scheduled_ns": 1000 * number + number,
            "sandbox_ns": (number > 0).then_some(1000 * number + 2),
            "running_ns": null, "first_instruction_ns": null, "log_ns": null,
        }))
        .unwrap()
    };
    let pods: Vec<Pod> = (0..=100).map(pod).collect();
    let mut values = BTreeMap::new();
    put(&pods, 101, &mut values);
    let scheduled = measures(Condition::Scheduled).map(|measure| values[&measure]);
    assert_eq!(scheduled.map(|value| value as i64), [50, 90, 99, 100]);
    assert!(!values.contains_key(&Measure::SandboxP50), "one pod has none");
    let mut values = BTreeMap::new();
    put(&pods, 102, &mut values);
    assert!(values.is_empty(), "a pod is missing");
}
