//! What a claim promises: `min less >= 40` is an aggregate, a formula and a bound.

use serde::{Serialize, Serializer};

/// Which of several values has to keep the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their mean.
    Mean,
    /// Every one of them.
    All,
}

/// How a value is computed from the systems of a claim: s the subject, c a comparator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    /// `100 (c - s) / c`: how many percent less s takes.
    Less,
    /// `100 (s - c) / c`: how many percent more.
    More,
    /// `s - c`, in the metric's unit.
    Difference,
    /// `s`, in the metric's unit.
    Value,
    /// `100 (first - second) / second` over the two metrics of the claim.
    Gap,
    /// Place of s among all, 1 for the least.
    Rank,
    /// Place of s by its mean over the densities.
    MeanRank,
    /// `100 (mean - s) / mean`, the mean taken over s and all comparators.
    LessThanMean,
    /// `100 (s - median) / median`, the median taken over s and all comparators.
    MoreThanMedian,
    /// How many comparators take more than s.
    FasterThan,
    /// Largest distance of a repetition from the mean, in MB.
    Deviation,
    /// Largest density with a valid cell.
    Density,
    /// Highest to lowest density, tested for equivalence; the bound is the margin in percent.
    DensityRatio,
}

/// What the value has to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// `>=`, or `>` where `strict`.
    AtLeast {
        /// The bound.
        limit: f64,
        /// The bound itself does not count.
        strict: bool,
    },
    /// `<=`, or `<` where `strict`.
    AtMost {
        /// The bound.
        limit: f64,
        /// The bound itself does not count.
        strict: bool,
    },
    /// `=`.
    Equal(f64),
    /// `in LOW HIGH`.
    Between(f64, f64),
    /// `within PERCENT`: a margin of equivalence.
    Within(f64),
}

/// What a claim promises.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Which value.
    pub over: Over,
    /// Of what.
    pub formula: Formula,
    /// How far it may go.
    pub bound: Bound,
    text: String,
}

const FORMULAS: [(&str, Formula); 13] = [
    ("less", Formula::Less),
    ("more", Formula::More),
    ("difference", Formula::Difference),
    ("value", Formula::Value),
    ("gap", Formula::Gap),
    ("rank", Formula::Rank),
    ("mean-rank", Formula::MeanRank),
    ("less-than-mean", Formula::LessThanMean),
    ("more-than-median", Formula::MoreThanMedian),
    ("faster-than", Formula::FasterThan),
    ("deviation", Formula::Deviation),
    ("density", Formula::Density),
    ("density-ratio", Formula::DensityRatio),
];

impl Test {
    /// Reads `AGGREGATE FORMULA BOUND`.
    ///
    /// # Errors
    /// What could not be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [over, formula, sign, limits @ ..] = words.as_slice() else {
            return Err(format!("`{text}` is not AGGREGATE FORMULA BOUND"));
        };
        let over = match *over {
            "min" => Over::Min,
            "max" => Over::Max,
            "mean" => Over::Mean,
            "all" | "each" | "range" => Over::All,
            other => return Err(format!("no aggregate `{other}`: min, max, mean, all, range")),
        };
        let known = FORMULAS.iter().find(|known| known.0 == *formula);
        let formula = known.ok_or_else(|| format!("no formula `{formula}`"))?.1;
        let limits: Vec<f64> = limits
            .iter()
            .map(|limit| limit.parse::<f64>().ok().filter(|limit| limit.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("`{text}`: a bound is not a number"))?;
        let bound = match (*sign, limits.as_slice()) {
            (">=" | ">", &[limit]) => Bound::AtLeast { limit, strict: *sign == ">" },
            ("<=" | "<", &[limit]) => Bound::AtMost { limit, strict: *sign == "<" },
            ("=", &[limit]) => Bound::Equal(limit),
            ("in", &[low, high]) if low <= high => Bound::Between(low, high),
            ("within", &[margin]) if margin > 0.0 => Bound::Within(margin),
            _ => return Err(format!("`{text}`: no bound `{sign}` with so many numbers")),
        };
        Ok(Self { over, formula, bound, text: words.join(" ") })
    }

    /// The test as it stands in the file.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Serialize for Test {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Bound {
    /// How far the values from `low` to `high` keep the bound, widened by `tolerance`: negative
    /// where they break it.
    pub fn slack(self, (low, high): (f64, f64), tolerance: f64) -> f64 {
        // A strict bound is broken by the bound itself; no slack is that small by chance.
        let open = |strict: bool| if strict && tolerance <= 0.0 { f64::MIN_POSITIVE } else { 0.0 };
        match self {
            Self::AtLeast { limit, strict } => low - (limit - tolerance) - open(strict),
            Self::AtMost { limit, strict } => limit + tolerance - high - open(strict),
            Self::Equal(limit) => tolerance - (low - limit).abs().max((high - limit).abs()),
            Self::Between(from, to) => (low - (from - tolerance)).min(to + tolerance - high),
            Self::Within(margin) => margin - low.abs().max(high.abs()),
        }
    }

    /// The same for the mere direction of a saving or an excess: is it on the promised side of
    /// zero? `None` where the bound has no direction besides itself.
    pub fn direction(self, (low, high): (f64, f64)) -> Option<f64> {
        let below_none = f64::MIN_POSITIVE;
        match self {
            Self::AtLeast { limit, .. } | Self::Equal(limit) | Self::Between(limit, _)
                if limit > 0.0 =>
            {
                Some(low.min(high) - below_none)
            }
            _ => None,
        }
    }
}

impl Formula {
    /// True if the value is a percentage that has a direction.
    pub fn is_percent(self) -> bool {
        matches!(
            self,
            Self::Less | Self::More | Self::Gap | Self::LessThanMean | Self::MoreThanMedian
        )
    }

    /// True if each comparator gives a value of its own.
    pub fn is_pairwise(self) -> bool {
        matches!(self, Self::Less | Self::More | Self::Difference)
    }

    /// True if it can be computed without some of the comparators: a place near the top, which
    /// more rivals can only worsen, and what is compared with a mean or median.
    pub fn bears_gaps(self, bound: Bound) -> bool {
        match (self, bound) {
            (Self::Rank | Self::MeanRank, Bound::Equal(limit)) => limit <= 1.0,
            (Self::Rank | Self::MeanRank, Bound::AtMost { .. })
            | (Self::LessThanMean | Self::MoreThanMedian, _) => true,
            _ => false,
        }
    }

    /// True if a contradiction found without some of the comparators would stand with them.
    pub fn is_final_in_part(self) -> bool {
        !matches!(self, Self::LessThanMean | Self::MoreThanMedian)
    }

    /// True if it takes all comparators together.
    pub fn compares_with_all(self) -> bool {
        matches!(
            self,
            Self::Rank
                | Self::MeanRank
                | Self::LessThanMean
                | Self::MoreThanMedian
                | Self::FasterThan
        )
    }
}

#[test]
fn tests_are_read_or_refused() {
    let test = Test::parse("min less >= 50.34").unwrap();
    assert_eq!((test.over, test.formula), (Over::Min, Formula::Less));
    assert_eq!(test.bound, Bound::AtLeast { limit: 50.34, strict: false });
    assert_eq!(Test::parse("range less in 3 18").unwrap().bound, Bound::Between(3.0, 18.0));
    for bad in [
        "",
        "min less",
        "min less ~ 3",
        "min less >= x",
        "all less in 3 1",
        "most less > 1",
        "min lesser > 1",
        "min less >= inf",
        "each density-ratio within -1",
    ] {
        assert!(Test::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn slack_is_negative_where_a_bound_breaks() {
    let table = [
        ("min less >= 10", (12.0, 12.0), 0.0, true),
        ("min less >= 10", (6.0, 6.0), 5.0, true),
        ("min less >= 10", (4.0, 4.0), 5.0, false),
        ("min less > 0", (0.0, 0.0), 0.0, false),
        ("max less <= 0", (0.0, 0.0), 0.0, true),
        ("all rank = 1", (1.0, 2.0), 0.0, false),
        ("range less in 3 18", (4.0, 19.0), 0.0, false),
        ("range less in 3 18", (4.0, 19.0), 5.0, true),
    ];
    for (text, values, tolerance, holds) in table {
        let slack = Test::parse(text).unwrap().bound.slack(values, tolerance);
        assert_eq!(slack >= 0.0, holds, "{text} with {values:?} and {tolerance}: {slack}");
    }
    let direction = |text, values| Test::parse(text).unwrap().bound.direction(values);
    assert!(direction("min less >= 40", (3.0, 3.0)).is_some_and(|slack| slack > 0.0));
    assert!(direction("min less >= 40", (-3.0, -3.0)).is_some_and(|slack| slack < 0.0));
    assert_eq!(direction("min less > 0", (3.0, 3.0)), None);
    assert_eq!(direction("max gap <= 42", (3.0, 3.0)), None);
}
