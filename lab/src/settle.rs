//! When memory is level: the stop rule over MemAvailable. Pure; the caller brings the time.
//!
//! Two windows in a row must each have a Theil–Sen slope near zero and a small range. The slope is
//! a median, so that one collection of a daemon's heap does not decide; the range catches a step
//! that a median would not see.

use wamr_record::experiment::Timing;

/// A reading of MemAvailable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds since waiting began.
    pub at_s: f64,
    /// MemAvailable.
    pub available_bytes: u64,
}

/// The limits of a level window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Length of one window.
    pub window_s: f64,
    /// Waiting ends here, level or not.
    pub max_s: f64,
    /// Largest slope, either way.
    pub slope_bytes_per_s: f64,
    /// Largest difference between two readings of a window.
    pub range_bytes: u64,
}

/// What to do after a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Take another reading.
    Wait,
    /// The last two windows are level.
    Level,
    /// The time is over and they are not.
    GiveUp,
}

impl Rule {
    /// The rule for a cell of `pods`: more pods may jitter more, by 2 % of a MiB each.
    pub fn new(timing: &Timing, pods: u32) -> Self {
        const MIB: f64 = 1024.0 * 1024.0;
        let jitter_bytes = (0.02 * f64::from(pods) * MIB) as u64;
        Self {
            window_s: f64::from(timing.settle_window_s),
            max_s: f64::from(timing.settle_max_s),
            slope_bytes_per_s: timing.settle_slope_kib_per_s * 1024.0,
            range_bytes: (timing.settle_range_kib * 1024).max(jitter_bytes),
        }
    }

    /// Decides after the last of `points`, which are in the order of time.
    pub fn decide(&self, points: &[Point]) -> Decision {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Decision::Wait;
        };
        // A window of n seconds is spanned by n + 1 readings; the last of one begins the other.
        let begin_s = last.at_s - 2.0 * self.window_s;
        if first.at_s <= begin_s + 0.5 {
            let middle_s = last.at_s - self.window_s;
            let later = &points[from_time(points, middle_s)..];
            let earlier = &points[from_time(points, begin_s)..=from_time(points, middle_s)];
            if self.is_level(earlier) && self.is_level(later) {
                return Decision::Level;
            }
        }
        if last.at_s >= self.max_s { Decision::GiveUp } else { Decision::Wait }
    }

    /// Index of the first point of the two last windows: these are the baseline.
    pub fn baseline_begin(&self, points: &[Point]) -> usize {
        points.last().map_or(0, |last| from_time(points, last.at_s - 2.0 * self.window_s))
    }

    fn is_level(&self, window: &[Point]) -> bool {
        let bytes = || window.iter().map(|point| point.available_bytes);
        let (Some(least), Some(most)) = (bytes().min(), bytes().max()) else { return false };
        window.len() >= 3
            && most - least <= self.range_bytes
            && theil_sen_slope(window).is_some_and(|slope| slope.abs() <= self.slope_bytes_per_s)
    }
}

/// Index of the first point not before `at_s`; half a second of lateness is forgiven.
fn from_time(points: &[Point], at_s: f64) -> usize {
    points.partition_point(|point| point.at_s < at_s - 0.5).min(points.len() - 1)
}

/// Median of the slopes between all pairs of points, in bytes per second; `None` without a pair
/// that lies apart in time.
///
/// Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.
pub fn theil_sen_slope(points: &[Point]) -> Option<f64> {
    let mut slopes = Vec::new();
    for (index, from) in points.iter().enumerate() {
        for to in &points[index + 1..] {
            let seconds = to.at_s - from.at_s;
            if seconds > 0.0 {
                slopes.push((to.available_bytes as f64 - from.available_bytes as f64) / seconds);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    match slopes.len() {
        0 => None,
        count if count % 2 == 1 => Some(slopes[middle]),
        _ => Some(f64::midpoint(slopes[middle - 1], slopes[middle])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIB: f64 = 1024.0;
    const RULE: Rule = Rule {
        window_s: 10.0,
        max_s: 60.0,
        slope_bytes_per_s: 64.0 * KIB,
        range_bytes: 4096 * 1024,
    };

    fn series(bytes_at: impl Fn(f64) -> f64) -> Vec<Point> {
        let point = |second: u32| {
            let at_s = f64::from(second);
            Point { at_s, available_bytes: (1e9 + bytes_at(at_s)) as u64 }
        };
        (0..=80).map(point).collect()
    }

    /// The second at which the rule stops, and how.
    fn stop(points: &[Point]) -> (usize, Decision) {
        (1..=points.len())
            .map(|count| (count - 1, RULE.decide(&points[..count])))
            .find(|(_, decision)| *decision != Decision::Wait)
            .unwrap()
    }

    #[test]
    fn stops_when_two_windows_are_level() {
        let table: &[(&str, Vec<Point>, (usize, Decision))] = &[
            ("flat from the start", series(|_| 0.0), (20, Decision::Level)),
            ("slow drift", series(|s| s * 60.0 * KIB), (20, Decision::Level)),
            ("fast drift", series(|s| s * 70.0 * KIB), (60, Decision::GiveUp)),
            ("falling", series(|s| s * -70.0 * KIB), (60, Decision::GiveUp)),
            ("ramp of 15 s", series(|s| s.min(15.0) * 9e6), (35, Decision::Level)),
            (
                "one spike is no slope but too wide",
                series(|s| if (s - 12.0).abs() < 0.5 { 9e6 } else { 0.0 }),
                (33, Decision::Level),
            ),
            (
                "one small spike passes",
                series(|s| if (s - 12.0).abs() < 0.5 { 3e6 } else { 0.0 }),
                (20, Decision::Level),
            ),
            ("sawtooth wider than the range", series(|s| (s % 5.0) * 2e6), (60, Decision::GiveUp)),
        ];
        for (case, points, want) in table {
            assert_eq!(stop(points), *want, "{case}");
        }
    }

    #[test]
    fn no_reading_and_one_reading_wait() {
        assert_eq!(RULE.decide(&[]), Decision::Wait);
        assert_eq!(RULE.decide(&series(|_| 0.0)[..1]), Decision::Wait);
    }

    #[test]
    fn the_baseline_is_the_last_two_windows() {
        let points = series(|_| 0.0);
        assert_eq!(RULE.baseline_begin(&points[..=35]), 15);
        assert_eq!(RULE.baseline_begin(&points[..=5]), 0);
        assert_eq!(RULE.baseline_begin(&[]), 0);
    }

    #[test]
    fn slope_needs_two_times() {
        let point = Point { at_s: 1.0, available_bytes: 5 };
        assert_eq!(theil_sen_slope(&[]), None);
        assert_eq!(theil_sen_slope(&[point]), None);
        assert_eq!(theil_sen_slope(&[point, point]), None);
    }

    proptest! {
        #[test]
        fn slope_of_a_line_is_found_under_outliers(
            slope in -1000_i64..1000,
            outliers in prop::collection::btree_set(0_usize..20, 0..4),
        ) {
            let points: Vec<Point> = (0..20).map(|index| {
                let outlier = if outliers.contains(&index) { 500_000 } else { 0 };
                let available_bytes = 1_000_000 + slope * index as i64 + outlier;
                Point { at_s: index as f64, available_bytes: available_bytes as u64 }
            }).collect();
            let found = theil_sen_slope(&points).unwrap();
            // Up to 3 of 20 wrong readings spoil 54 of 190 pairs: below half, so the median holds.
            prop_assert!((found - slope as f64).abs() < 1e-6, "{found} for {slope}");
        }
    }
}
