//! Medians, and intervals by bootstrap. Pure.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const RESAMPLES: usize = 2000;
const SEED: u64 = 1;

/// NaN where there are no values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// With linear interpolation between the two neighbours (type 7 of Hyndman and Fan).
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut ascending = values.to_vec();
    ascending.sort_by(f64::total_cmp);
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (ascending[place as usize], ascending[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The 95 % percentile interval of the median.
pub fn interval(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut draw = || values[random.next_u64() as usize % values.len()];
    let medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| median(&(0..values.len()).map(|_| draw()).collect::<Vec<_>>()))
        .collect();
    (quantile(&medians, 0.025), quantile(&medians, 0.975))
}

/// The numbers below `count` in an order drawn from `random` (Fisher and Yates).
pub fn shuffled(count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, random.next_u64() as usize % (last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values() {
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!((quantile(&[3.0], 0.9), quantile(&[1.0, 3.0], 0.5)), (3.0, 2.0));
    }

    #[test]
    fn an_order_is_a_permutation_and_comes_from_the_seed() {
        let order = |seed| shuffled(9, &mut ChaCha8Rng::seed_from_u64(seed));
        let mut sorted = order(1);
        assert_eq!(sorted, order(1));
        assert_ne!(sorted, order(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..9).collect::<Vec<_>>());
    }
}
