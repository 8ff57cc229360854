//! Student's t distribution.

/// Coefficients of Lanczos' approximation of the gamma function, g = 7, n = 9.
///
/// Source: Godfrey, "A note on the computation of the convergent Lanczos complex Gamma
/// approximation", 2001.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// Natural logarithm of the gamma function for x >= 0.5.
fn ln_gamma(x: f64) -> f64 {
    let x = x - 1.0;
    let base = x + 7.5;
    let sum = LANCZOS[1..]
        .iter()
        .enumerate()
        .fold(LANCZOS[0], |sum, (index, factor)| sum + factor / (x + 1.0 + index as f64));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

/// Regularised incomplete beta function I_x(a, b), by its continued fraction.
///
/// Source: DLMF 8.17.22, evaluated as Lentz proposes.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    let solid = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut upper = 1.0;
    let mut lower = 1.0 / solid(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = lower;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            lower = 1.0 / solid(1.0 + term * lower);
            upper = solid(1.0 + term / upper);
            fraction *= lower * upper;
        }
        if (fraction - before).abs() <= 1e-15 * fraction.abs() {
            break;
        }
    }
    front.exp() * fraction / a
}

/// Chance that a t variable with `freedom` > 0 degrees of freedom lies above `t`.
pub fn upper_tail(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    let half = 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    if t >= 0.0 { half } else { 1.0 - half }
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
