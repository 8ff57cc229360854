//! The trend of a series in time, with an interval that knows that neighbours are alike.

use serde::Serialize;

use super::quantile::{median, sorted};
use super::regression::{pair_slopes, residuals, thinned};

/// A slope with the ends of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// Rise per unit of x: the median of the slopes of all pairs.
    pub slope: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Fewer points than this give no interval.
pub const MIN_POINTS: usize = 5;

/// Two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The Theil–Sen slope of points with ascending x, and the interval that belongs to Kendall's test:
/// the slopes at the ranks `(N ∓ C) / 2` of all N, with `C = z · √Var(S)`.
///
/// Kendall's variance counts ties and is raised by what the ranks of the residuals say about
/// neighbours. `None` with fewer than [`MIN_POINTS`] points or equal x.
///
/// Sources: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968; Hamed and
/// Rao, "A modified Mann–Kendall trend test for autocorrelated data", 1998.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let points = thinned(points);
    if points.len() < MIN_POINTS {
        return None;
    }
    let slopes = sorted(&pair_slopes(&points));
    let slope = median(&slopes)?;
    let values: Vec<f64> = points.iter().map(|point| point.1).collect();
    // Ranks count there: without the intercept they are the same.
    let neighbours = neighbours_factor(&residuals(&points, slope));
    let spread = Z * (kendall_variance(&values) * neighbours).sqrt();
    let (count, last) = (slopes.len() as f64, slopes.len() - 1);
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(last)];
    // Ranks count from 1: the M-th and, on the other side, the one after the (N - M)-th.
    let low = at(((count - spread) / 2.0).floor() - 1.0);
    let high = at(f64::midpoint(count, spread).ceil());
    Some(Trend { slope, low: low.min(slope), high: high.max(slope) })
}

/// Variance of Kendall's S if there is no trend: `(n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18` over the
/// sizes t of groups of equal values.
fn kendall_variance(values: &[f64]) -> f64 {
    let term = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let ascending = sorted(values);
    let ties: f64 = ascending
        .chunk_by(|left, right| left.total_cmp(right).is_eq())
        .map(|equal| term(equal.len() as f64))
        .sum();
    ((term(ascending.len() as f64) - ties) / 18.0).max(0.0)
}

/// By how much the variance grows because neighbours are alike; never below 1. Correlations count
/// up to the first lag without one: what lies beyond is chance.
///
/// Source: Geyer, "Practical Markov chain Monte Carlo", 1992, section 3.3, initial sequences.
fn neighbours_factor(rests: &[f64]) -> f64 {
    let ranks = ranks(rests);
    let count = ranks.len() as f64;
    let mean = ranks.iter().sum::<f64>() / count;
    let all: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    if all <= 0.0 {
        return 1.0;
    }
    let mut sum = 0.0;
    for lag in 1..ranks.len().saturating_sub(2) {
        let pairs = ranks.iter().zip(&ranks[lag..]);
        let correlation =
            pairs.map(|(left, right)| (left - mean) * (right - mean)).sum::<f64>() / all;
        if correlation <= 0.0 {
            break;
        }
        let left = count - lag as f64;
        sum += left * (left - 1.0) * (left - 2.0) * correlation;
    }
    (1.0 + 2.0 * sum / (count * (count - 1.0) * (count - 2.0))).max(1.0)
}

/// The rank of each value, from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let ascending = sorted(values);
    let rank = |value: &f64| {
        let below = ascending.partition_point(|other| other < value);
        let not_above = ascending.partition_point(|other| other <= value);
        (below + not_above + 1) as f64 / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// About normal, with mean 0 and deviation 1.
    fn noise(random: &mut ChaCha8Rng) -> f64 {
        let uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        std::iter::repeat_with(uniform).take(12).sum::<f64>() - 6.0
    }

    /// A straight line with noise of which each is `alike` like the one before it.
    fn series(seed: u64, slope: f64, alike: f64, count: u32) -> Vec<(f64, f64)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut last = 0.0;
        (0..count)
            .map(|index| {
                last = alike * last + noise(&mut random);
                let x = f64::from(index) * 20.0;
                (x, 1000.0 + slope * x + last)
            })
            .collect()
    }

    /// How many of 200 intervals hold the slope.
    fn held(alike: f64) -> usize {
        let holds = |seed: &u64| {
            let trend = trend(&series(*seed, 3.0, alike, 60)).unwrap();
            trend.low <= 3.0 && 3.0 <= trend.high
        };
        (0..200).filter(holds).count()
    }

    #[test]
    fn intervals_hold_the_slope_also_where_neighbours_are_alike() {
        let (alone, alike) = (held(0.0), held(0.7));
        assert!(alone >= 182, "{alone} of 200");
        assert!(alike >= 165, "{alike} of 200: without the correction it is some 120");
    }

    #[test]
    fn ranks_and_variances_of_known_series() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 9.0]), [2.5, 1.0, 2.5, 4.0]);
        let distinct: Vec<f64> = (0..10).map(f64::from).collect();
        assert!((kendall_variance(&distinct) - 125.0).abs() < 1e-9);
        assert!(kendall_variance(&[7.0; 10]).abs() < 1e-9);
        let tied = kendall_variance(&[1.0, 1.0, 2.0, 3.0, 4.0]);
        assert!((tied - (300.0 - 18.0) / 18.0).abs() < 1e-9, "{tied}");
    }

    #[test]
    fn a_constant_is_certain_and_few_points_are_not() {
        let flat: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), 7.0)).collect();
        assert_eq!(trend(&flat), Some(Trend { slope: 0.0, low: 0.0, high: 0.0 }));
        assert_eq!(trend(&flat[..MIN_POINTS - 1]), None);
        assert_eq!(trend(&[(1.0, 2.0); 9]), None);
    }

    /// One unit per start must be told from none, however the daemon's heap saws around it.
    #[test]
    fn a_leak_is_seen_through_a_saw() {
        let saw = |leak: f64| -> Vec<(f64, f64)> {
            (0..100)
                .map(|index| {
                    let x = f64::from(index) * 200.0;
                    (x, 5e6 + leak * x + f64::from(index % 7) * 1e5)
                })
                .collect()
        };
        let leaking = trend(&saw(400.0)).unwrap();
        assert!(leaking.low > 300.0 && leaking.high < 500.0, "{leaking:?}");
        let sound = trend(&saw(0.0)).unwrap();
        assert!(sound.low <= 0.0 && 0.0 <= sound.high, "{sound:?}");
    }

    proptest! {
        #[test]
        fn the_slope_lies_in_its_interval_and_follows_a_change_of_units(
            values in prop::collection::vec(-1e6_f64..1e6, 5..40),
            factor in 0.001_f64..1000.0,
        ) {
            let points = |factor: f64| -> Vec<(f64, f64)> {
                values.iter().enumerate().map(|(x, y)| (x as f64, factor * y)).collect()
            };
            let (plain, scaled) = (trend(&points(1.0)).unwrap(), trend(&points(factor)).unwrap());
            prop_assert!(plain.low <= plain.slope && plain.slope <= plain.high, "{plain:?}");
            // Not its ends: residuals that are equal but for rounding may change their ranks.
            let want = factor * plain.slope;
            prop_assert!((scaled.slope - want).abs() <= 1e-6 * want.abs().max(1e-3));
        }
    }
}
