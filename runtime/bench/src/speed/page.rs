//! docs/benchmarks.md from raw samples: medians, and ratios with bootstrap intervals. Pure.

use std::collections::BTreeMap;

use miette::{Result, miette};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Count, Kind, Sample, VERBS, bundle};

/// The runtime that others are compared with.
const BASE: &str = "crun";
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;

/// What a bench has written.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// The timed rounds.
    pub samples: &'a [Sample],
    /// The counting pass.
    pub counts: &'a [Count],
}

/// A container and the runtime that makes it.
type Cell = (Kind, String);
/// One container's four verbs added up, by round.
type Totals = BTreeMap<Cell, BTreeMap<u32, Total>>;

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    wall_ns: f64,
    cpu_us: f64,
    minor_faults: f64,
}

impl Total {
    fn add(&mut self, sample: &Sample) {
        self.wall_ns += sample.wall_ns as f64;
        self.cpu_us += sample.cpu_us as f64;
        self.minor_faults += sample.minor_faults as f64;
    }
}

/// The page; `sources` are the paths of samples and counts.
///
/// # Errors
/// No samples; none of crun to compare with.
pub fn render(data: Data, sources: [&str; 2]) -> Result<String> {
    let totals = totals(data.samples);
    if !totals.contains_key(&(Kind::Native, BASE.to_owned())) {
        return Err(miette!("there are no samples of {BASE} to compare with"));
    }
    let [samples, counts] = sources;
    let mut page = vec![format!(
        "# Benchmarks\n\nMade by `make bench-page` from [{samples}](../{samples}) and \
         [{counts}](../{counts}),\nwhich `make bench` writes.\n\n{}\n\n## One container\n\n\
         create + start + kill + delete of one container, the runtimes taking turns in a random \
         order:\nmedians over the rounds. The ratio is that to {BASE} within each round; its \
         interval (95 %)\ncomes from a bootstrap over rounds. Processor time and page faults are \
         those of the runtime and the\nchildren that it waits for. System calls, counted in \
         rounds of their own, are those of the runtime\nand of all its children, the container's \
         first process included, up to the runtime's end.\n\n\
         | container | runtime | version | rounds | ms | ratio to {BASE} | processor ms \
         | faults | system calls |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        bundle::DESCRIPTION
    )];
    let versions: BTreeMap<_, _> =
        data.samples.iter().map(|one| (one.runtime.as_str(), one.version.as_str())).collect();
    for (cell, rounds) in &totals {
        let version = versions.get(cell.1.as_str()).unwrap_or(&"");
        page.push(total_row(cell, version, rounds, &totals, data.counts));
    }
    page.push(wasm_beside_native(&totals));
    page.push(
        "\n## By verb\n\nMedians of the same rounds.\n\n\
         | container | runtime | verb | ms | processor ms | faults | system calls |\n\
         |---|---|---|---|---|---|---|\n"
            .to_owned(),
    );
    for (kind, runtime) in totals.keys() {
        for verb in VERBS {
            page.push(verb_row(*kind, runtime, verb, data));
        }
    }
    Ok(page.concat())
}

fn total_row(
    cell: &Cell,
    version: &str,
    rounds: &BTreeMap<u32, Total>,
    totals: &Totals,
    counts: &[Count],
) -> String {
    let (kind, runtime) = cell;
    let values = |pick: fn(&Total) -> f64| rounds.values().map(pick).collect::<Vec<_>>();
    let pairs = ratios(Some(rounds), totals.get(&(*kind, BASE.to_owned())));
    let (low, high) = interval(&pairs);
    let calls: f64 = VERBS.iter().map(|verb| calls(counts, *kind, runtime, verb)).sum();
    format!(
        "| {} | {runtime} | {version} | {} | {:.1} | {:.2} ({low:.2} to {high:.2}) | {:.1} | {:.0} \
         | {} |\n",
        kind.shown(),
        rounds.len(),
        median(&values(|it| it.wall_ns)) / 1e6,
        median(&pairs),
        median(&values(|it| it.cpu_us)) / 1e3,
        median(&values(|it| it.minor_faults)),
        shown_count(calls),
    )
}

fn verb_row(kind: Kind, runtime: &str, verb: &str, data: Data) -> String {
    let of = |one: &&Sample| one.kind == kind && one.runtime == runtime && one.verb == verb;
    let values =
        |pick: fn(&Sample) -> f64| data.samples.iter().filter(of).map(pick).collect::<Vec<_>>();
    format!(
        "| {} | {runtime} | {verb} | {:.2} | {:.2} | {:.0} | {} |\n",
        kind.shown(),
        median(&values(|it| it.wall_ns as f64)) / 1e6,
        median(&values(|it| it.cpu_us as f64)) / 1e3,
        median(&values(|it| it.minor_faults as f64)),
        shown_count(calls(data.counts, kind, runtime, verb)),
    )
}

/// The median of the counting pass; NaN where nothing was counted.
fn calls(counts: &[Count], kind: Kind, runtime: &str, verb: &str) -> f64 {
    let of = |one: &&Count| one.kind == kind && one.runtime == runtime && one.verb == verb;
    median(&counts.iter().filter(of).map(|one| one.syscalls as f64).collect::<Vec<_>>())
}

fn shown_count(value: f64) -> String {
    if value.is_nan() { "not counted".to_owned() } else { format!("{value:.0}") }
}

/// What the rows of Wasm containers compare: crun's native rows have no engine in them.
fn wasm_beside_native(totals: &Totals) -> String {
    let cell = |kind: Kind, runtime: &str| totals.get(&(kind, runtime.to_owned()));
    let times = |kind: Kind, runtime: &str| {
        let pairs = ratios(cell(kind, runtime), cell(Kind::Native, BASE));
        let (low, high) = interval(&pairs);
        format!("{:.2} ({low:.2} to {high:.2})", median(&pairs))
    };
    if cell(Kind::Wasm, BASE).is_none() || cell(Kind::Wasm, "wamr-crun").is_none() {
        return String::new();
    }
    format!(
        "\nIn its Wasm rows {BASE} is crun with WasmEdge, which it loads into itself for each \
         container; in its native\nrows the same program loads no engine. Compared with {BASE} \
         without Wasm, that is with its native\ncontainer of the same round, a Wasm container of \
         {BASE} with WasmEdge takes {} times as\nlong, one of wamr-crun {} times, and a native one \
         of wamr-crun {} times.\n",
        times(Kind::Wasm, BASE),
        times(Kind::Wasm, "wamr-crun"),
        times(Kind::Native, "wamr-crun"),
    )
}

/// The ratios of wall time, round by round.
fn ratios(of: Option<&BTreeMap<u32, Total>>, to: Option<&BTreeMap<u32, Total>>) -> Vec<f64> {
    let (Some(of), Some(to)) = (of, to) else { return Vec::new() };
    to.iter().filter_map(|(round, base)| Some(of.get(round)?.wall_ns / base.wall_ns)).collect()
}

fn totals(samples: &[Sample]) -> Totals {
    let mut totals = Totals::new();
    for sample in samples {
        let rounds = totals.entry((sample.kind, sample.runtime.clone())).or_default();
        rounds.entry(sample.round).or_default().add(sample);
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

    fn samples(runtime: &str, kind: Kind, wall_ns: u64) -> Vec<Sample> {
        let sample = |round, verb: &str| Sample {
            round,
            place: 0,
            runtime: runtime.to_owned(),
            version: "1".to_owned(),
            kind,
            verb: verb.to_owned(),
            wall_ns: wall_ns + u64::from(round),
            cpu_us: 500,
            minor_faults: 7,
        };
        (0..5).flat_map(|round| [sample(round, "create"), sample(round, "start")]).collect()
    }

    fn counts(runtime: &str) -> Vec<Count> {
        let count = |round, verb: &str| Count {
            round,
            runtime: runtime.to_owned(),
            version: "1".to_owned(),
            kind: Kind::Native,
            verb: verb.to_owned(),
            syscalls: 100 + u64::from(round),
        };
        (0..3).flat_map(|round| VERBS.map(|verb| count(round, verb))).collect()
    }

    #[test]
    fn verbs_add_up_and_are_compared_within_rounds() {
        let native = |runtime, ns| samples(runtime, Kind::Native, ns);
        let all = [native("crun", 4_000_000), native("x", 2_000_000)].concat();
        let counts = counts("x");
        let data = Data { samples: &all, counts: &counts };
        let page = render(data, ["data/bench/x.csv", "data/bench/y.csv"]).unwrap();
        for want in [
            "[data/bench/x.csv](../data/bench/x.csv) and [data/bench/y.csv]",
            "| native | x | 1 | 5 | 4.0 | 0.50 (0.50 to 0.50) | 1.0 | 14 | 404 |",
            "| native | crun | 1 | 5 | 8.0 | 1.00 (1.00 to 1.00) | 1.0 | 14 | not counted |",
            "| native | x | create | 2.00 | 0.50 | 7 | 101 |",
        ] {
            assert!(page.contains(want), "{want}: {page}");
        }
        assert!(!page.contains("WasmEdge"), "{page}");
        let data = Data { samples: &native("x", 1), counts: &[] };
        assert!(render(data, ["y", "z"]).is_err());
    }

    #[test]
    fn wasm_is_compared_with_a_runtime_that_loads_no_engine() {
        let all = [
            samples("crun", Kind::Native, 4_000_000),
            samples("crun", Kind::Wasm, 8_000_000),
            samples("wamr-crun", Kind::Wasm, 2_000_000),
        ];
        let page = render(Data { samples: &all.concat(), counts: &[] }, ["y", "z"]).unwrap();
        assert!(page.contains("with WasmEdge takes 2.00 (2.00 to 2.00) times"), "{page}");
        assert!(page.contains("one of wamr-crun 0.50 (0.50 to 0.50) times"), "{page}");
    }

    #[test]
    fn quantiles_of_few_values() {
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!((quantile(&[3.0], 0.9), quantile(&[1.0, 3.0], 0.5)), (3.0, 2.0));
    }
}
