//! Systems under test: a runtime with a workload, with the rate at which its pods arrive, and where
//! a run compares releases of containerd, on one of them.

use serde::Serialize;
use wamr_record::arrival::Arrival;
use wamr_record::cell::Cell;
use wamr_record::experiment::{Experiment, Series};
use wamr_record::reader::Run;
use wamr_record::release::Release;

use crate::attribution::PrivateMemory;
use crate::cell_figures::CellFigures;
use crate::evidence::SystemEvidence;
use crate::format::clean;

/// A runtime with a workload.
///
/// Runs that compare no releases have no release here, although a cell may have run on another one
/// than the rest: then it is told beside its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct System {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
    /// Release of containerd, in a run that compares several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Release>,
    /// How fast its pods arrive; absent if one call creates all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// Name in tables and figures.
    pub title: String,
    /// `wasm`, `python` or `native`.
    pub language: String,
    /// What must stand beside its figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// True for what this project builds.
    pub ours: bool,
    /// Private memory of its idle containers in valid cells.
    pub private: Option<PrivateMemory>,
    /// What ran.
    pub evidence: Option<SystemEvidence>,
}

impl System {
    /// True if `cell` is of it.
    pub fn is_of(&self, cell: &Cell) -> bool {
        let series = (cell.runtime.as_str(), cell.workload.as_str(), cell.arrival);
        self.is(series, cell.containerd.as_deref())
    }

    fn is(&self, series: SeriesKey<'_>, containerd: Option<&str>) -> bool {
        let release = || containerd.and_then(Release::of_version);
        series == self.series() && self.containerd.is_none_or(|own| release() == Some(own))
    }

    /// True if `experiment` asks for it.
    pub fn is_planned(&self, experiment: &Experiment) -> bool {
        let compared = experiment.compared_releases();
        let on_it = self.containerd.is_none_or(|release| compared.contains(&release));
        experiment.series.iter().any(|series| series_key(series) == self.series()) && on_it
    }

    fn series(&self) -> SeriesKey<'_> {
        (&self.runtime, &self.workload, self.arrival)
    }
}

impl CellFigures {
    /// True if the cell measured `system`.
    pub fn is_of(&self, system: &System) -> bool {
        let series = (self.runtime.as_str(), self.workload.as_str(), self.arrival);
        system.is(series, self.containerd.as_deref())
    }
}

/// What tells the series of an experiment apart.
type SeriesKey<'a> = (&'a str, &'a str, Option<Arrival>);

/// What tells systems apart.
type Key<'a> = (SeriesKey<'a>, Option<Release>);

fn series_key(series: &Series) -> SeriesKey<'_> {
    (&series.runtime, &series.workload, series.arrival)
}

fn keys<'a>(run: &'a Run, experiment: &'a Experiment) -> Vec<Key<'a>> {
    let releases = match experiment.compared_releases() {
        [] => vec![None],
        compared => compared.iter().copied().map(Some).collect(),
    };
    let mut keys: Vec<Key<'a>> = experiment
        .series
        .iter()
        .flat_map(|series| releases.iter().map(|release| (series_key(series), *release)))
        .collect();
    let is_compared = releases[0].is_some();
    let release = |cell: &Cell| cell.containerd.as_deref().and_then(Release::of_version);
    let mut measured: Vec<Key<'a>> = run
        .cells
        .iter()
        .map(|record| &record.cell)
        .map(|cell| {
            let series = (cell.runtime.as_str(), cell.workload.as_str(), cell.arrival);
            (series, release(cell).filter(|_| is_compared))
        })
        .collect();
    measured.sort_unstable();
    keys.extend(measured);
    keys
}

/// Those of a run, in the order of the tables.
///
/// The plan's order first, then what else was measured, by name.
pub fn systems(run: &Run, experiment: &Experiment) -> Vec<System> {
    let mut systems: Vec<System> = Vec::new();
    for key in keys(run, experiment) {
        let (series, containerd) = key;
        if systems.iter().any(|known| (known.series(), known.containerd) == key) {
            continue;
        }
        let (runtime, workload, arrival) = series;
        let cell = run
            .cells
            .iter()
            .map(|record| &record.cell)
            .find(|cell| cell.runtime == runtime && cell.workload == workload);
        systems.push(System {
            runtime: runtime.to_owned(),
            workload: workload.to_owned(),
            containerd,
            arrival,
            title: cell.map_or_else(|| clean(runtime), |cell| clean(&cell.runtime_title)),
            remark: cell.and_then(|cell| cell.runtime_remark.as_deref()).map(clean),
            language: cell.map_or_else(String::new, |cell| clean(&cell.language)),
            ours: cell.is_some_and(|cell| cell.ours),
            private: None,
            evidence: None,
        });
    }
    let all = systems.clone();
    for system in &mut systems {
        let is_other = |other: &&System| {
            (&other.runtime, &other.workload) != (&system.runtime, &system.workload)
        };
        if all.iter().filter(is_other).any(|other| other.title == system.title) {
            system.title = format!("{}, {}", system.title, clean(&system.workload));
        }
        if let Some(arrival) = system.arrival {
            system.title = format!("{} at {arrival}", system.title);
        }
        if let Some(release) = system.containerd {
            system.title = format!("{}, containerd {release}", system.title);
        }
    }
    systems
}
