//! Many claims at once: p-values corrected by Holm's method.

/// Holm's step-down correction: the p-values adjusted so that, compared with alpha, the chance of
/// even one false rejection among them stays below alpha. What is not a number stays one.
///
/// Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> =
        (0..p_values.len()).filter(|&index| p_values[index].is_finite()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut result = vec![f64::NAN; p_values.len()];
    let mut floor = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        let scaled = p_values[index] * (order.len() - rank) as f64;
        floor = floor.max(scaled.min(1.0));
        result[index] = floor;
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_is_multiplied_most_and_order_is_kept() {
        assert_eq!(adjusted(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(adjusted(&[]), [0.0; 0]);
        let gap = adjusted(&[0.01, f64::NAN, 0.5]);
        assert!((gap[0] - 0.02).abs() < 1e-15 && gap[1].is_nan() && (gap[2] - 0.5).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn never_below_the_plain_value_and_never_above_one(
            p_values in prop::collection::vec(0.0_f64..=1.0, 0..20),
        ) {
            for (plain, corrected) in p_values.iter().zip(adjusted(&p_values)) {
                prop_assert!(*plain <= corrected && corrected <= 1.0);
                let alone = (plain * p_values.len() as f64).min(1.0);
                prop_assert!(corrected <= alone + 1e-12, "not above Bonferroni");
            }
        }
    }
}
