//! Medians and quantiles.

/// The values in ascending order; what is not a number is left out.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut kept: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    kept.sort_by(f64::total_cmp);
    kept
}

/// The quantile `share` (0 to 1) of values in ascending order, `None` if there are none.
///
/// Between two values it interpolates: position `share · (n - 1)`.
/// Source: Hyndman and Fan, "Sample quantiles in statistical packages", definition 7.
pub fn of_sorted(ascending: &[f64], share: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let weight = place - below as f64;
    // In this form equal neighbours give exactly their value.
    Some(ascending[below] + (ascending[above] - ascending[below]) * weight)
}

/// The quantile `share` of values in any order.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    of_sorted(&sorted(values), share)
}

/// The middle value; the mean of the two middle ones where their number is even.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

#[test]
fn quantiles_of_known_series() {
    let table: &[(&str, &[f64], f64, Option<f64>)] = &[
        ("nothing", &[], 0.5, None),
        ("one", &[7.0], 0.9, Some(7.0)),
        ("odd", &[3.0, 1.0, 2.0], 0.5, Some(2.0)),
        ("even", &[4.0, 1.0, 2.0, 3.0], 0.5, Some(2.5)),
        ("between", &[0.0, 10.0], 0.9, Some(9.0)),
        ("highest", &[5.0, 9.0, 1.0], 1.0, Some(9.0)),
        ("no number", &[f64::NAN, 2.0, f64::INFINITY], 0.5, Some(2.0)),
    ];
    for &(case, values, share, want) in table {
        assert_eq!(quantile(values, share), want, "{case}");
    }
}
