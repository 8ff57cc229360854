//! Our statistics against those of SciPy and statsmodels, stored in tests/reference.

use serde_json::Value;
use wamr_report::stats::bootstrap::{draws, interval};
use wamr_report::stats::quantile::{median, quantile};
use wamr_report::stats::regression::{least_squares, theil_sen};
use wamr_report::stats::{equivalence, holm, student};

fn results(key: &str) -> Vec<Value> {
    let text = include_str!("../reference/scipy_results.json");
    let all: Value = serde_json::from_str(text).unwrap();
    match &all[key] {
        Value::Array(cases) => cases.clone(),
        one => vec![one.clone()],
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn near(found: f64, want: f64, tolerance: f64, what: &str) {
    assert!((found - want).abs() <= tolerance, "{what}: {found}, theirs {want}");
}

fn close(found: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap();
    near(found, want, 1e-9 * want.abs().max(1e-3), what);
}

#[test]
fn lines_through_points() {
    for case in results("lines") {
        let points: Vec<(f64, f64)> =
            numbers(&case["x"]).into_iter().zip(numbers(&case["y"])).collect();
        let robust = theil_sen(&points).unwrap();
        close(robust.slope, &case["theil_sen"][0], "Theil-Sen slope");
        close(robust.intercept, &case["theil_sen"][1], "Theil-Sen intercept");
        let squares = least_squares(&points).unwrap();
        close(squares.slope, &case["least_squares"][0], "slope");
        close(squares.intercept, &case["least_squares"][1], "intercept");
    }
}

#[test]
fn quantiles() {
    for case in results("quantiles") {
        let values = numbers(&case["values"]);
        for (share, want) in numbers(&case["shares"]).into_iter().zip(numbers(&case["quantiles"])) {
            near(quantile(&values, share).unwrap(), want, 1e-9, &format!("quantile {share}"));
        }
    }
}

#[test]
fn bootstrap_intervals() {
    let mean = |values: &[f64]| Some(values.iter().sum::<f64>() / values.len() as f64);
    for case in results("bootstraps") {
        let values = numbers(&case["values"]);
        let of = |statistic: &dyn Fn(&[f64]) -> Option<f64>| {
            let drawn = draws(values.len(), |chosen| {
                statistic(&chosen.iter().map(|&block| values[block]).collect::<Vec<_>>())
            });
            interval(&drawn).ends().unwrap()
        };
        for (name, found) in [("median", of(&|values| median(values))), ("mean", of(&mean))] {
            let want = numbers(&case[name]);
            // Both are random; ten thousand draws place the ends to a few percent of the width.
            let tolerance = 0.06 * (want[1] - want[0]);
            near(found.0, want[0], tolerance, &format!("{name} of {}, low", values.len()));
            near(found.1, want[1], tolerance, &format!("{name} of {}, high", values.len()));
        }
    }
}

#[test]
fn equivalence_tests() {
    for case in results("equivalences") {
        let margin = case["margin"].as_f64().unwrap();
        let found = equivalence::within(&numbers(&case["differences"]), (-margin, margin)).unwrap();
        close(found.p_value(), &case["p_value"], "p");
        close(found.p_above_low, &case["p_above_low"], "p against the lower margin");
        close(found.p_below_high, &case["p_below_high"], "p against the upper margin");
    }
}

#[test]
fn corrected_p_values() {
    for case in results("corrections") {
        let found = holm::adjusted(&numbers(&case["p_values"]));
        for (found, want) in found.into_iter().zip(numbers(&case["holm"])) {
            near(found, want, 1e-10, "Holm");
        }
    }
}

#[test]
fn tails_of_t() {
    for case in results("tails") {
        let case = numbers(&case);
        let (t, freedom) = (case[0], case[1]);
        near(student::upper_tail(t, freedom), case[2], 1e-10, &format!("t {t} of {freedom}"));
    }
}
