//! What each start leaves behind: a slope per figure of each system, and whether it is flat. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use wamr_record::churn::{Churn, ChurnReading, ChurnSystem};
use wamr_record::environment::Environment;

use crate::stats::trend::{Trend, trend};
use crate::verify::defect::Defect;

/// Memory that grows by less than this per start counts as flat: half of the smallest piece that
/// glibc's malloc hands out, so that one lost allocation per start is seen.
///
/// Source: malloc(3), `MINSIZE` of glibc on 64 bits.
pub const FLAT_BYTES: f64 = 16.0;

/// A count that grows by less than this per start counts as flat: one in a thousand starts.
pub const FLAT_COUNT: f64 = 0.001;

/// The first tenth of the starts is left out: heaps and caches find their size in it.
const LEFT_OUT: u32 = 10;

/// What a figure is about, and what was read.
pub type Key = (String, String);

/// Readings over the starts.
pub type Points = Vec<(f64, f64)>;

/// All figures of a system over its starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemSeries(pub BTreeMap<Key, Points>);

impl SystemSeries {
    /// From the lines of a file. A figure that a reading lacks was nothing at that moment, as the
    /// descriptors of a program that did not run.
    pub fn of(readings: &[ChurnReading]) -> Self {
        let mut moments: Vec<u32> = readings.iter().map(|reading| reading.starts).collect();
        moments.dedup();
        let mut series: BTreeMap<Key, BTreeMap<u32, f64>> = BTreeMap::new();
        for reading in readings {
            let key = (reading.subject.clone(), reading.figure.clone());
            series.entry(key).or_default().insert(reading.starts, reading.value as f64);
        }
        let line = |values: &BTreeMap<u32, f64>| {
            let value = |starts: &u32| values.get(starts).copied().unwrap_or(0.0);
            moments.iter().map(|starts| (f64::from(*starts), value(starts))).collect()
        };
        Self(series.iter().map(|(key, values)| (key.clone(), line(values))).collect())
    }
}

/// Whether a figure grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flatness {
    /// Its interval lies below what counts as growth; it may shrink.
    Flat,
    /// Its interval lies above that.
    Grows,
    /// Neither is certain: more starts would tell.
    Open,
}

impl Flatness {
    /// Word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Grows => "grows",
            Self::Open => "open",
        }
    }

    fn of(trend: Trend, is_memory: bool) -> Self {
        let limit = if is_memory { FLAT_BYTES } else { FLAT_COUNT };
        match (trend.high <= limit, trend.low > limit) {
            (true, _) => Self::Flat,
            (_, true) => Self::Grows,
            _ => Self::Open,
        }
    }
}

/// A figure of a system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is about.
    pub subject: String,
    /// What was read.
    pub figure: String,
    /// At the first reading.
    pub first: f64,
    /// At the last reading.
    pub last: f64,
    /// Rise per start, by bytes or by count; absent with too few readings.
    pub per_start: Option<Trend>,
    /// Whether it grows.
    pub flatness: Flatness,
    /// True if this project's programs have or make it.
    pub ours: bool,
}

impl Figure {
    /// True if it counts bytes.
    pub fn is_memory(&self) -> bool {
        self.figure.ends_with("_bytes")
    }
}

/// A system with its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct System {
    /// What it is.
    #[serde(flatten)]
    pub about: ChurnSystem,
    /// Its figures, by subject and name.
    pub figures: Vec<Figure>,
    /// What was read; drawn, not repeated as numbers.
    #[serde(skip)]
    pub series: SystemSeries,
}

impl System {
    /// A figure.
    pub fn figure(&self, subject: &str, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.subject == subject && figure.figure == name)
    }
}

/// What the run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The run directory's name.
    pub name: String,
    /// Its headline.
    pub title: String,
    /// Version of the lab.
    pub lab_version: String,
    /// When it began.
    pub begin_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// Files whose digest was compared with the manifest.
    pub files_compared: usize,
}

/// A whole run as numbers. `numbers.json` is this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChurnStudy {
    /// Program and version that computed the numbers.
    pub generator: String,
    /// What the run is.
    pub run: Facts,
    /// Machine and node.
    pub environment: Environment,
    /// Pods at once.
    pub pods: u32,
    /// Pods that are replaced together.
    pub replaced: u32,
    /// Starts that were asked for.
    pub starts: u32,
    /// False if the run was broken off.
    pub complete: bool,
    /// Daemons whose heaps were collected before each reading.
    pub collected: Vec<String>,
    /// Bytes per start below which memory is flat.
    pub flat_bytes: f64,
    /// Number per start below which a count is flat.
    pub flat_count: f64,
    /// The systems in the order of the run.
    pub systems: Vec<System>,
    /// What is wrong with the run directory; empty unless it was read nevertheless.
    pub defects: Vec<Defect>,
}

/// Computes everything from a run; `series` has the readings by the name of their file.
pub fn study(
    run: Facts,
    environment: Environment,
    churn: Churn,
    series: &BTreeMap<String, SystemSeries>,
    defects: Vec<Defect>,
) -> ChurnStudy {
    let system = |about: ChurnSystem| {
        let series = series.get(&about.file).cloned().unwrap_or_default();
        let figures =
            series.0.iter().map(|(key, points)| figure(&about, key, points, churn.pods)).collect();
        System { about, figures, series }
    };
    ChurnStudy {
        generator: concat!("wamr-report ", env!("CARGO_PKG_VERSION")).to_owned(),
        run,
        environment,
        pods: churn.pods,
        replaced: churn.replaced,
        starts: churn.starts,
        complete: churn.complete,
        collected: churn.collected,
        flat_bytes: FLAT_BYTES,
        flat_count: FLAT_COUNT,
        systems: churn.systems.into_iter().map(system).collect(),
        defects,
    }
}

fn figure(about: &ChurnSystem, (subject, name): &Key, points: &Points, pods: u32) -> Figure {
    let begin = settled_after(points, pods);
    let settled: Points = points.iter().copied().filter(|point| point.0 >= begin).collect();
    let per_start = trend(&settled);
    let flatness =
        per_start.map_or(Flatness::Open, |trend| Flatness::of(trend, name.ends_with("_bytes")));
    Figure {
        subject: subject.clone(),
        figure: name.clone(),
        first: points.first().map_or(0.0, |point| point.1),
        last: points.last().map_or(0.0, |point| point.1),
        per_start,
        flatness,
        ours: is_ours(about, subject),
    }
}

/// Starts from which on a figure counts: every pod was replaced once, and a tenth is over.
fn settled_after(points: &Points, pods: u32) -> f64 {
    let last = points.last().map_or(0.0, |point| point.0);
    (2.0 * f64::from(pods)).max(last / f64::from(LEFT_OUT))
}

/// What this project's programs have or make: the containers, what they have on the node, and the
/// shim where it is ours.
fn is_ours(about: &ChurnSystem, subject: &str) -> bool {
    match subject {
        "shim" => about.shim_is_ours,
        "containers" | "node" | "others" => about.ours,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(ours: bool, shim_is_ours: bool) -> ChurnSystem {
        ChurnSystem {
            runtime: "r".to_owned(),
            title: "R".to_owned(),
            workload: "w".to_owned(),
            containerd: None,
            ours,
            shim_is_ours,
            file: "series/01-r-w.csv".to_owned(),
            starts: 1000,
            begin_ns: 1,
            end_ns: 2,
        }
    }

    fn points(of: impl Fn(f64) -> f64) -> Points {
        (1..=50).map(|index| (f64::from(index) * 20.0, of(f64::from(index) * 20.0))).collect()
    }

    #[test]
    fn a_figure_is_flat_grows_or_is_open() {
        let shim = |figure: &str, points: &Points| {
            let key = ("shim".to_owned(), figure.to_owned());
            super::figure(&system(true, true), &key, points, 20).flatness
        };
        let steady = points(|_| 4096.0);
        let lost_piece = points(|starts| 4096.0 + 32.0 * starts);
        let descriptor = points(|starts| 9.0 + starts);
        // Anything up to a megabyte.
        let wild =
            points(|starts| f64::from((starts as u32 / 20).wrapping_mul(2_654_435_761) >> 12));
        for (case, figure, points, want) in [
            ("steady", "anon_bytes", &steady, Flatness::Flat),
            ("a lost allocation per start", "anon_bytes", &lost_piece, Flatness::Grows),
            ("a lost descriptor per start", "descriptors", &descriptor, Flatness::Grows),
            ("as bytes that were little", "anon_bytes", &descriptor, Flatness::Flat),
            ("shrinks", "descriptors", &points(|starts| 2000.0 - starts), Flatness::Flat),
            ("wild", "anon_bytes", &wild, Flatness::Open),
            ("few readings", "anon_bytes", &steady[..4].to_vec(), Flatness::Open),
        ] {
            assert_eq!(shim(figure, points), want, "{case}");
        }
    }

    #[test]
    fn the_begin_is_left_out() {
        let key = ("node".to_owned(), "mounts".to_owned());
        let growing_first = points(|starts| starts.min(100.0));
        let found = figure(&system(true, false), &key, &growing_first, 50);
        assert_eq!((found.first as i64, found.last as i64), (20, 100));
        assert_eq!((found.flatness, found.ours), (Flatness::Flat, true));
        let many_pods = settled_after(&growing_first, 20);
        assert_eq!(many_pods as i64, 100, "a tenth of a thousand starts");
    }

    #[test]
    fn the_shim_is_ours_only_where_we_made_it() {
        for (about, subject, want) in [
            (system(true, true), "shim", true),
            (system(true, false), "shim", false),
            (system(true, false), "containers", true),
            (system(true, true), "containerd", false),
            (system(true, true), "kernel", false),
            (system(false, false), "node", false),
        ] {
            assert_eq!(is_ours(&about, subject), want, "{subject} {about:?}");
        }
    }

    #[test]
    fn what_a_reading_lacks_was_nothing() {
        let reading = |starts, figure: &str| ChurnReading {
            taken_ns: 1,
            starts,
            subject: "others".to_owned(),
            figure: figure.to_owned(),
            value: 3,
        };
        let readings = [reading(1, "a"), reading(2, "b"), reading(3, "a")];
        let series = SystemSeries::of(&readings);
        let a = &series.0[&("others".to_owned(), "a".to_owned())];
        assert_eq!(*a, [(1.0, 3.0), (2.0, 0.0), (3.0, 3.0)]);
    }
}
