//! docs/benchmarks.md from raw samples: medians, and ratios with bootstrap intervals. Pure.

use std::collections::BTreeMap;

use miette::{Result, miette};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Kind, Sample};

/// The runtime that others are compared with.
const BASE: &str = "crun";
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;

/// One container's four verbs added up, by round.
type Totals = BTreeMap<(Kind, String), BTreeMap<u32, Total>>;

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    wall_ns: f64,
    cpu_us: f64,
    minor_faults: f64,
}

/// The page.
///
/// # Errors
/// No samples; none of crun to compare with.
pub fn render(samples: &[Sample], source: &str) -> Result<String> {
    let totals = totals(samples);
    let base = |kind: Kind| totals.get(&(kind, BASE.to_owned()));
    if base(Kind::Native).is_none() {
        return Err(miette!("there are no samples of {BASE} to compare with"));
    }
    let versions: BTreeMap<_, _> =
        samples.iter().map(|one| (one.runtime.as_str(), one.version.as_str())).collect();
    let mut page = vec![format!(
        "# Benchmarks\n\nMade by `make bench-page` from [{source}](../{source}), which \
         `make bench` writes.\n\ncreate + start + kill + delete of one container, the \
         runtimes taking turns in a random order:\nmedians over the rounds. \
         The ratio is that to {BASE} within each round; \
         its interval (95 %)\ncomes from a bootstrap over rounds. Processor time and page faults \
         are those of the runtime,\nnot of the container.\n\n\
         | container | runtime | version | rounds | ms | ratio to {BASE} | processor ms \
         | faults |\n\
         |---|---|---|---|---|---|---|---|\n"
    )];
    for ((kind, runtime), rounds) in &totals {
        let values = |pick: fn(&Total) -> f64| rounds.values().map(pick).collect::<Vec<_>>();
        let pairs: Vec<f64> = base(*kind)
            .into_iter()
            .flatten()
            .filter_map(|(round, base)| Some(rounds.get(round)?.wall_ns / base.wall_ns))
            .collect();
        let (low, high) = interval(&pairs);
        page.push(format!(
            "| {} | {runtime} | {} | {} | {:.1} | {:.2} ({low:.2} to {high:.2}) | {:.1} \
             | {:.0} |\n",
            if *kind == Kind::Native { "native" } else { "Wasm" },
            versions.get(runtime.as_str()).unwrap_or(&""),
            rounds.len(),
            median(&values(|it| it.wall_ns)) / 1e6,
            median(&pairs),
            median(&values(|it| it.cpu_us)) / 1e3,
            median(&values(|it| it.minor_faults)),
        ));
    }
    Ok(page.concat())
}

fn totals(samples: &[Sample]) -> Totals {
    let mut totals = Totals::new();
    for sample in samples {
        let rounds = totals.entry((sample.kind, sample.runtime.clone())).or_default();
        let total = rounds.entry(sample.round).or_default();
        total.wall_ns += sample.wall_ns as f64;
        total.cpu_us += sample.cpu_us as f64;
        total.minor_faults += sample.minor_faults as f64;
    }
    totals
}

/// NaN where there are no values.
fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// With linear interpolation between the two neighbours (type 7 of Hyndman and Fan).
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut ascending = values.to_vec();
    ascending.sort_by(f64::total_cmp);
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (ascending[place as usize], ascending[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The 95 % percentile interval of the median.
fn interval(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut draw = || values[random.next_u64() as usize % values.len()];
    let medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| median(&(0..values.len()).map(|_| draw()).collect::<Vec<_>>()))
        .collect();
    (quantile(&medians, 0.025), quantile(&medians, 0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(runtime: &str, wall_ns: u64) -> Vec<Sample> {
        let sample = |round, verb: &str| Sample {
            round,
            place: 0,
            runtime: runtime.to_owned(),
            version: "1".to_owned(),
            kind: Kind::Native,
            verb: verb.to_owned(),
            wall_ns: wall_ns + u64::from(round),
            cpu_us: 500,
            minor_faults: 7,
        };
        (0..5).flat_map(|round| [sample(round, "create"), sample(round, "start")]).collect()
    }

    #[test]
    fn verbs_add_up_and_are_compared_within_rounds() {
        let all = [samples("crun", 4_000_000), samples("x", 2_000_000)].concat();
        let page = render(&all, "data/bench/x.csv").unwrap();
        assert!(
            page.contains("| native | x | 1 | 5 | 4.0 | 0.50 (0.50 to 0.50) | 1.0 | 14 |"),
            "{page}"
        );
        assert!(render(&samples("x", 1), "y").is_err());
    }

    #[test]
    fn quantiles_of_few_values() {
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!((quantile(&[3.0], 0.9), quantile(&[1.0, 3.0], 0.5)), (3.0, 2.0));
    }
}
