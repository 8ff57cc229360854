//! Are two things the same? Two one-sided tests against a margin.

use serde::Serialize;

use super::student::upper_tail;

/// Result of two one-sided paired tests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Equivalence {
    /// Mean of the differences.
    pub mean: f64,
    /// Number of pairs.
    pub pairs: usize,
    /// Chance of such data if the true mean difference were at the lower margin or below.
    pub p_above_low: f64,
    /// Chance of such data if the true mean difference were at the upper margin or above.
    pub p_below_high: f64,
}

impl Equivalence {
    /// The larger of both: below alpha, the difference lies within the margins.
    pub fn p_value(&self) -> f64 {
        self.p_above_low.max(self.p_below_high)
    }
}

/// Tests whether the mean of paired `differences` lies between `low` and `high`; one with less than
/// two pairs says nothing.
///
/// Source: Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
/// 1987.
pub fn within(differences: &[f64], (low, high): (f64, f64)) -> Option<Equivalence> {
    let pairs = differences.len();
    if pairs < 2 || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let count = pairs as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let tail = |distance: f64| match (error > 0.0, distance > 0.0) {
        (true, _) => upper_tail(distance / error, count - 1.0),
        // Without any scatter the mean is known.
        (false, true) => 0.0,
        (false, false) => 1.0,
    };
    Some(Equivalence {
        mean,
        pairs,
        p_above_low: tail(mean - low),
        p_below_high: tail(high - mean),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn little_scatter_within_the_margin_is_the_same() {
        let found = within(&[0.01, -0.01, 0.02, 0.0, 0.01], (-0.1, 0.1)).unwrap();
        assert!(found.p_value() < 0.001, "{found:?}");
        let apart = within(&[0.2, 0.21, 0.19], (-0.1, 0.1)).unwrap();
        assert!(apart.p_value() > 0.99, "{apart:?}");
        let unsure = within(&[0.3, -0.3, 0.05], (-0.1, 0.1)).unwrap();
        assert!(unsure.p_value() > 0.05, "{unsure:?}");
        let fixed = within(&[0.05, 0.05], (-0.1, 0.1)).unwrap();
        assert!(fixed.p_value().abs() < 1e-12);
        assert_eq!(within(&[0.0], (-1.0, 1.0)), None);
        assert_eq!(within(&[0.0, f64::NAN], (-1.0, 1.0)), None);
    }

    proptest! {
        #[test]
        fn a_wider_margin_never_makes_it_less_sure(
            differences in prop::collection::vec(-1.0_f64..1.0, 2..9),
            margin in 0.01_f64..1.0,
        ) {
            let narrow = within(&differences, (-margin, margin)).unwrap().p_value();
            let wide = within(&differences, (-2.0 * margin, 2.0 * margin)).unwrap().p_value();
            prop_assert!((0.0..=1.0).contains(&narrow));
            prop_assert!(wide <= narrow + 1e-12);
        }
    }
}
