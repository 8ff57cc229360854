//! The paper's estimator: the level with pods minus the level before them.

use crate::stats::quantile::median;

/// `(P - B0) / N`: P and B0 are the medians of the readings on the plateau and before the pods.
///
/// On the column `free` that is the number of kilobytes that disappear from it, shared out evenly.
/// `None` without readings or pods.
pub fn per_pod(before: &[f64], plateau: &[f64], pods: u32) -> Option<f64> {
    if pods == 0 {
        return None;
    }
    Some((median(plateau)? - median(before)?) / f64::from(pods))
}

#[test]
fn medians_are_subtracted_and_shared_out() {
    assert_eq!(per_pod(&[10.0, 12.0, 900.0], &[52.0, 50.0, 54.0], 10), Some(4.0));
    assert_eq!(per_pod(&[], &[1.0], 10), None);
    assert_eq!(per_pod(&[1.0], &[1.0], 0), None);
}
