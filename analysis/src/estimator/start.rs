//! Time from the call that creates a pod to a stamp of it.

use crate::stats::quantile::{of_sorted, sorted};

/// When the pods of a cell reached a stage, in nanoseconds after the call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// The first of them.
    pub first_ns: f64,
    /// A tenth.
    pub p10_ns: f64,
    /// Half of the pods.
    pub p50_ns: f64,
    /// Nine of ten.
    pub p90_ns: f64,
    /// All of them.
    pub last_ns: f64,
}

/// Quantiles of `stamp - requested` over the pods, each given as (requested, stamp); `None` unless
/// every pod has the stamp, because the time of the last one is not known then.
pub fn reached(pods_ns: &[(i64, Option<i64>)]) -> Option<Reached> {
    let delays: Option<Vec<f64>> = pods_ns
        .iter()
        .map(|(requested_ns, stamp_ns)| {
            Some(stamp_ns.as_ref()?.saturating_sub(*requested_ns) as f64)
        })
        .collect();
    let ascending = sorted(&delays?);
    Some(Reached {
        first_ns: of_sorted(&ascending, 0.0)?,
        p10_ns: of_sorted(&ascending, 0.1)?,
        p50_ns: of_sorted(&ascending, 0.5)?,
        p90_ns: of_sorted(&ascending, 0.9)?,
        last_ns: of_sorted(&ascending, 1.0)?,
    })
}

#[test]
fn the_last_stamp_counts_and_none_may_be_missing() {
    let at_once: Vec<_> = (1..=11).map(|index| (1000, Some(1000 + index * 10))).collect();
    let want =
        Reached { first_ns: 10.0, p10_ns: 20.0, p50_ns: 60.0, p90_ns: 100.0, last_ns: 110.0 };
    assert_eq!(reached(&at_once), Some(want));
    let one_by_one: Vec<_> = (1..=11).map(|index| (index * 500, Some(index * 510))).collect();
    assert_eq!(reached(&one_by_one), Some(want));
    assert_eq!(reached(&[(1000, Some(1010)), (1000, None)]), None);
    assert_eq!(reached(&[]), None);
}
