//! Percentile intervals by block bootstrap; a block is one repetition of the experiment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::Spread;
use super::quantile::{of_sorted, sorted};

/// Fewer blocks than this give a range, not an interval.
pub const MIN_BLOCKS: usize = 3;

/// What the draws depend on; written into every report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Start of the random stream. Every interval starts it anew, so that figures over the same
    /// repetitions, like the two sides of a ratio, are drawn from the same blocks.
    pub seed: u64,
    /// Number of draws.
    pub draws: u32,
    /// Share of the draws inside the interval.
    pub level: f64,
}

/// The settings of every report.
pub const SETTINGS: Settings = Settings { seed: 0x5741_4d52, draws: 10_000, level: 0.95 };

/// Spread of `statistic` over `blocks` blocks; it gets the indices of the drawn blocks.
///
/// Draws on which the statistic does not exist are left out.
/// Source: Efron and Tibshirani, "An Introduction to the Bootstrap", chapters 6 and 13.3.
pub fn spread(blocks: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Spread {
    let singles: Vec<f64> = (0..blocks).filter_map(|block| statistic(&[block])).collect();
    if singles.len() < 2 {
        return Spread::Single;
    }
    if blocks < MIN_BLOCKS {
        let ascending = sorted(&singles);
        return ends(&ascending, 0.0)
            .map_or(Spread::Single, |(low, high)| Spread::Range { low, high });
    }
    interval(&draws(blocks, statistic))
}

/// Percentile interval of results in ascending order.
pub fn interval(ascending: &[f64]) -> Spread {
    let tail = (1.0 - SETTINGS.level) / 2.0;
    ends(ascending, tail).map_or(Spread::Single, |(low, high)| Spread::Interval { low, high })
}

/// Results of `statistic` on all draws from `blocks` blocks, in ascending order.
///
/// The order of the drawn blocks must not matter to it: few blocks have few different draws (126
/// of 5), and each of them is computed once.
pub fn draws(blocks: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Vec<f64> {
    let mut counted: Vec<(f64, usize)> = different_draws(blocks)
        .iter()
        .filter_map(|(chosen, count)| Some((statistic(chosen)?, *count)))
        .filter(|result| result.0.is_finite())
        .collect();
    counted.sort_by(|left, right| left.0.total_cmp(&right.0));
    counted.iter().flat_map(|&(result, count)| std::iter::repeat_n(result, count)).collect()
}

/// Interval of a comparison of two statistics whose blocks have nothing to do with each other:
/// both sides are drawn independently.
pub fn independent(
    (left_blocks, left): (usize, impl Fn(&[usize]) -> Option<f64>),
    (right_blocks, right): (usize, impl Fn(&[usize]) -> Option<f64>),
    compared: impl Fn(f64, f64) -> Option<f64>,
) -> Spread {
    let side = |blocks: usize, of: &dyn Fn(&[usize]) -> Option<f64>| -> Vec<Option<f64>> {
        let different = different_draws(blocks);
        let results = different.iter().map(|(chosen, count)| (of(chosen), *count));
        results.flat_map(|(result, count)| std::iter::repeat_n(result, count)).collect()
    };
    let (left, mut right) = (side(left_blocks, &left), side(right_blocks, &right));
    // Each side lies in the order of its draws' blocks; shuffling one makes the pairs independent.
    let mut random = ChaCha8Rng::seed_from_u64(SETTINGS.seed ^ 1);
    for last in (1..right.len()).rev() {
        let other = ((u128::from(random.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        right.swap(last, other);
    }
    let results: Vec<f64> =
        left.iter().zip(&right).filter_map(|(left, right)| compared((*left)?, (*right)?)).collect();
    interval(&sorted(&results))
}

/// Chosen blocks in ascending order, and how often they were drawn.
type Draws = Arc<Vec<(Vec<usize>, usize)>>;

/// The random stream begins anew for each number of blocks, so its draws are always the same.
fn different_draws(blocks: usize) -> Draws {
    static KNOWN: Mutex<BTreeMap<usize, Draws>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let mut random = ChaCha8Rng::seed_from_u64(SETTINGS.seed);
        let mut counts: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for _ in 0..SETTINGS.draws {
            // Multiply and shift maps the 64 bits evenly on 0..blocks.
            let mut place = || ((u128::from(random.next_u64()) * blocks as u128) >> 64) as usize;
            let mut chosen: Vec<usize> = (0..blocks).map(|_| place()).collect();
            chosen.sort_unstable();
            *counts.entry(chosen).or_default() += 1;
        }
        Arc::new(counts.into_iter().collect())
    };
    known.entry(blocks).or_insert_with(make).clone()
}

fn ends(ascending: &[f64], tail: f64) -> Option<(f64, f64)> {
    Some((of_sorted(ascending, tail)?, of_sorted(ascending, 1.0 - tail)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::quantile::median;

    fn of(values: &[f64]) -> Spread {
        spread(values.len(), |chosen| {
            median(&chosen.iter().map(|&block| values[block]).collect::<Vec<_>>())
        })
    }

    #[test]
    fn few_blocks_give_no_interval() {
        assert_eq!(of(&[]), Spread::Single);
        assert_eq!(of(&[4.0]), Spread::Single);
        assert_eq!(of(&[4.0, 3.0]), Spread::Range { low: 3.0, high: 4.0 });
    }

    #[test]
    fn equal_blocks_give_a_point() {
        assert_eq!(of(&[2.0; 5]), Spread::Interval { low: 2.0, high: 2.0 });
    }

    #[test]
    fn the_interval_holds_the_median_and_is_the_same_each_time() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let first = of(&values);
        let (low, high) = first.ends().unwrap();
        assert!(low < 5.0 && 5.0 < high && low >= 1.0 && high <= 9.0, "{first:?}");
        assert!(matches!(first, Spread::Interval { .. }));
        assert_eq!(first, of(&values));
    }

    #[test]
    fn independent_sides_spread_more_than_joint_ones() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let of = |chosen: &[usize]| median(&chosen.iter().map(|&b| values[b]).collect::<Vec<_>>());
        let apart = independent((5, of), (5, of), |left, right| Some(right / left));
        let (low, high) = apart.ends().unwrap();
        assert!(low < 0.7 && high > 1.4, "{low} to {high}");
        let joint = spread(5, |chosen| Some(of(chosen)? / of(chosen)?));
        assert_eq!(joint, Spread::Interval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn most_intervals_hold_the_true_median() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut held = 0;
        for _ in 0..20 {
            let values: Vec<f64> =
                (0..15).map(|_| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).collect();
            let (low, high) = of(&values).ends().unwrap();
            held += u32::from(low <= 0.5 && 0.5 <= high);
        }
        assert!(held >= 17, "{held} of 20");
    }

    proptest! {
        #[test]
        fn intervals_lie_within_the_data_and_follow_a_change_of_units(
            values in prop::collection::vec(1.0_f64..1e9, 3..8),
            factor in 0.001_f64..1000.0,
        ) {
            let (low, high) = of(&values).ends().unwrap();
            let ascending = sorted(&values);
            prop_assert!(ascending[0] <= low && low <= high);
            prop_assert!(high <= ascending[ascending.len() - 1] * (1.0 + 1e-12));
            let scaled: Vec<f64> = values.iter().map(|value| value * factor).collect();
            let ends = of(&scaled).ends().unwrap();
            prop_assert!((ends.0 - factor * low).abs() <= 1e-9 * ends.0);
            prop_assert!((ends.1 - factor * high).abs() <= 1e-9 * ends.1);
        }
    }
}
