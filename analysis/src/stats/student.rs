//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Chance that a t variable with `freedom` > 0 degrees of freedom lies above `t`.
pub fn upper_tail(t: f64, freedom: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |distribution| distribution.sf(t))
}

#[test]
fn tails_of_known_tables() {
    // With one degree of freedom it is Cauchy's distribution: 1/4 above 1.
    assert!((upper_tail(1.0, 1.0) - 0.25).abs() < 1e-12);
    assert!((upper_tail(0.0, 4.0) - 0.5).abs() < 1e-12);
    assert!((upper_tail(2.776_445_105_197_793, 4.0) - 0.025).abs() < 1e-10);
    assert!((upper_tail(-2.776_445_105_197_793, 4.0) - 0.975).abs() < 1e-10);
    assert!(upper_tail(f64::INFINITY, 4.0).abs() < 1e-12);
    assert!(upper_tail(f64::NAN, 4.0).is_nan() && upper_tail(1.0, 0.0).is_nan());
}
