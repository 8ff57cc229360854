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
    let points = thinned(points);
    let slope = median(&pair_slopes(&points))?;
    Some(Line { slope, intercept: median(&residuals(&points, slope))? })
}

/// At most [`MAX_POINTS`] of `points`, evenly.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    points.iter().copied().step_by(step).collect()
}

/// The slopes of all pairs of points with different x.
pub(super) fn pair_slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let mut slopes = Vec::new();
    for (index, left) in points.iter().enumerate() {
        for right in &points[index + 1..] {
            let run = right.0 - left.0;
            if run.abs() > 0.0 {
                slopes.push((right.1 - left.1) / run);
            }
        }
    }
    slopes
}

/// What a line through the origin with that slope leaves of each point.
pub(super) fn residuals(points: &[(f64, f64)], slope: f64) -> Vec<f64> {
    points.iter().map(|point| point.1 - slope * point.0).collect()
}

/// The line of least squares. `None` if all x are equal.
pub fn least_squares(points: &[(f64, f64)]) -> Option<Line> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let across: f64 = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum();
    let along: f64 = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum();
    let slope = along / across;
    slope.is_finite().then_some(Line { slope, intercept: mean_y - slope * mean_x })
}

/// Largest distance of a point from the line, as a share of the largest |y|: how far the cost of a
/// pod is from being the same at every density. `None` without a point that is not zero.
pub fn worst_misfit(points: &[(f64, f64)], line: Line) -> Option<f64> {
    let scale = points.iter().map(|point| point.1.abs()).fold(0.0, f64::max);
    let worst = points
        .iter()
        .map(|point| (point.1 - line.intercept - line.slope * point.0).abs())
        .fold(0.0, f64::max);
    (scale > 0.0).then(|| worst / scale)
}

#[test]
fn least_squares_of_a_known_series() {
    let line = least_squares(&[(1.0, 2.0), (2.0, 4.0), (3.0, 9.0)]).unwrap();
    assert!((line.slope - 3.5).abs() < 1e-12 && (line.intercept + 2.0).abs() < 1e-12, "{line:?}");
    assert_eq!(least_squares(&[(1.0, 2.0), (1.0, 4.0)]), None);
    assert_eq!(least_squares(&[]), None);
    let exact = Line { slope: 2.0, intercept: 0.0 };
    assert_eq!(worst_misfit(&[(1.0, 2.0), (2.0, 5.0)], exact), Some(0.2));
    assert_eq!(worst_misfit(&[(1.0, 0.0)], exact), None);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_known_line_is_found_again_although_a_fifth_of_the_points_is_wild(
            slope in -50.0_f64..50.0,
            intercept in -1e3_f64..1e3,
            noise in prop::collection::vec(-1.0_f64..1.0, 20..40),
            wild in 1e4_f64..1e6,
        ) {
            let points: Vec<(f64, f64)> = noise
                .iter()
                .enumerate()
                .map(|(index, noise)| {
                    let x = index as f64 * 10.0;
                    let bad = if index % 5 == 2 { wild } else { 0.0 };
                    (x, intercept + slope * x + noise + bad)
                })
                .collect();
            let line = theil_sen(&points).unwrap();
            prop_assert!((line.slope - slope).abs() < 0.5, "{line:?}");
            prop_assert!((line.intercept - intercept).abs() < 60.0, "{line:?}");
        }

        #[test]
        fn both_fits_follow_a_change_of_units(
            points in prop::collection::vec((0.0_f64..400.0, -1e3_f64..1e3), 3..20),
            factor in 0.1_f64..10.0,
        ) {
            let scaled: Vec<(f64, f64)> =
                points.iter().map(|point| (point.0, factor * point.1)).collect();
            for fit in [theil_sen, least_squares] {
                let (Some(plain), Some(scaled)) = (fit(&points), fit(&scaled)) else { continue };
                let want = factor * plain.slope;
                let tolerance = 1e-6 * want.abs().max(1e-3);
                prop_assert!((scaled.slope - want).abs() <= tolerance, "{plain:?} {scaled:?}");
            }
        }
    }
}
