//! Ticks at round numbers.

/// A linear axis from `low` to `high` over pixels from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Value at `from`.
    pub low: f64,
    /// Value at `to`.
    pub high: f64,
    /// Place of `low`.
    pub from: f64,
    /// Place of `high`.
    pub to: f64,
    /// Distance of the ticks.
    pub step: f64,
}

impl Axis {
    /// An axis that holds `low` and `high`, with about `wanted` ticks at 1, 2 or 5 times a power
    /// of ten.
    pub fn new((low, high): (f64, f64), (from, to): (f64, f64), wanted: usize) -> Self {
        let low = if low.is_finite() { low.clamp(-1e30, 1e30) } else { 0.0 };
        let high = if high.is_finite() { high.clamp(-1e30, 1e30) } else { 1.0 };
        let span = if high - low > 1e-9 * high.abs().max(1.0) { high - low } else { 1.0 };
        let rough = span / wanted.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * power);
        Self { low, high: low + span, from, to, step }
    }

    /// Where `value` lies.
    pub fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    /// Values of the ticks.
    pub fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil();
        let last = (self.high / self.step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 50.0) as u32;
        (0..=count).map(|index| (first + f64::from(index)) * self.step).collect()
    }

    /// Digits after the point that the ticks need.
    pub fn decimals(&self) -> usize {
        (-self.step.log10().floor()).clamp(0.0, 6.0) as usize
    }
}

#[test]
fn ticks_are_round() {
    let table: &[(f64, f64, usize, &[f64], usize)] = &[
        (0.0, 16.2, 5, &[0.0, 5.0, 10.0, 15.0], 0),
        (0.0, 0.9, 3, &[0.0, 0.5], 1),
        (-3.0, 7.0, 5, &[-2.0, 0.0, 2.0, 4.0, 6.0], 0),
        (0.0, 0.0, 2, &[0.0, 0.5, 1.0], 1),
    ];
    for &(low, high, wanted, ticks, decimals) in table {
        let axis = Axis::new((low, high), (0.0, 100.0), wanted);
        assert_eq!(axis.ticks(), ticks, "{low} to {high}");
        assert_eq!(axis.decimals(), decimals, "{low} to {high}");
    }
    for (low, high) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-1e300, 1e300), (5.0, -5.0)] {
        let axis = Axis::new((low, high), (0.0, 100.0), 5);
        assert!(axis.ticks().len() <= 51 && axis.place(1.0).is_finite(), "{low} to {high}");
    }
}
