//! The marginal cost: what one more pod takes, from cells of different density.

use crate::stats::regression::{Line, theil_sen};

/// Theil–Sen line through (N, taken bytes of all N pods); its slope is the cost of one more pod,
/// its intercept what the first pod costs on top. `None` with fewer than two densities.
pub fn marginal(points: &[(f64, f64)]) -> Option<Line> {
    theil_sen(points)
}

#[test]
fn fixed_costs_go_to_the_intercept() {
    let line = marginal(&[(10.0, 70.0), (100.0, 520.0), (400.0, 2020.0)]).unwrap();
    assert!((line.slope - 5.0).abs() < 1e-9 && (line.intercept - 20.0).abs() < 1e-9, "{line:?}");
    assert_eq!(marginal(&[(10.0, 70.0), (10.0, 71.0)]), None);
}
