//! Straight lines through points.

use serde::Serialize;

use super::quantile::median;

/// A straight line `intercept + slope · x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    /// Rise per unit of x.
    pub slope: f64,
    /// Value at x = 0.
    pub intercept: f64,
}

/// More points than this are thinned evenly: the number of pairs grows with the square.
const MAX_POINTS: usize = 1000;

/// The Theil–Sen line: the median of the slopes of all pairs of points with different x, and the
/// median of what is left as intercept. `None` if all x are equal.
///
/// Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    let points: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    let mut slopes = Vec::new();
    for (index, left) in points.iter().enumerate() {
        for right in &points[index + 1..] {
            let run = right.0 - left.0;
            if run.abs() > 0.0 {
                slopes.push((right.1 - left.1) / run);
            }
        }
    }
    let slope = median(&slopes)?;
    let rests: Vec<f64> = points.iter().map(|point| point.1 - slope * point.0).collect();
    Some(Line { slope, intercept: median(&rests)? })
}

#[test]
fn a_line_with_one_wild_point_is_found() {
    let mut points: Vec<(f64, f64)> =
        (0..9).map(|x| (f64::from(x), 3.0 * f64::from(x) + 5.0)).collect();
    points[4].1 = 1e9;
    let line = theil_sen(&points).unwrap();
    assert!((line.slope - 3.0).abs() < 1e-9, "{line:?}");
    assert!((line.intercept - 5.0).abs() < 1e-9, "{line:?}");
    assert_eq!(theil_sen(&[(1.0, 2.0), (1.0, 3.0)]), None);
    assert_eq!(theil_sen(&[]), None);
}
