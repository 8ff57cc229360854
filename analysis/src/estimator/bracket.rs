//! The bracket: the level with pods minus the mean of the levels before and after them.

use crate::stats::quantile::median;

/// `(P - (B0 + B1) / 2) / N`: drift of the node that has nothing to do with the pods cancels to
/// first order, because it moves B1 away from B0 about as far as it moved P twice.
///
/// `None` if one of the three levels or the pods are missing.
pub fn per_pod(before: &[f64], plateau: &[f64], after: &[f64], pods: u32) -> Option<f64> {
    if pods == 0 {
        return None;
    }
    let base = f64::midpoint(median(before)?, median(after)?);
    Some((median(plateau)? - base) / f64::from(pods))
}

#[test]
fn linear_drift_cancels() {
    let (drift, cost) = (6.0, 100.0);
    let taken = per_pod(&[50.0], &[50.0 + drift + cost], &[50.0 + 2.0 * drift], 10);
    assert_eq!(taken, Some(10.0));
    assert_eq!(per_pod(&[1.0], &[1.0], &[], 10), None);
    assert_eq!(per_pod(&[1.0], &[1.0], &[1.0], 0), None);
}
