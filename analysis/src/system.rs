//! Systems under test: a runtime with a workload, and where a run compares releases of containerd,
//! on one of them.

use serde::Serialize;
use wamr_record::cell::Cell;
use wamr_record::experiment::Experiment;
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
        self.is(&cell.runtime, &cell.workload, cell.containerd.as_deref())
    }

    fn is(&self, runtime: &str, workload: &str, containerd: Option<&str>) -> bool {
        let release = || containerd.and_then(Release::of_version);
        let on_it = self.containerd.is_none_or(|own| release() == Some(own));
        self.runtime == runtime && self.workload == workload && on_it
    }

    /// True if `experiment` asks for it.
    pub fn is_planned(&self, experiment: &Experiment) -> bool {
        let compared = experiment.compared_releases();
        let on_it = self.containerd.is_none_or(|release| compared.contains(&release));
        let is_series = experiment
            .series
            .iter()
            .any(|series| series.runtime == self.runtime && series.workload == self.workload);
        is_series && on_it
    }
}

impl CellFigures {
    /// True if the cell measured `system`.
    pub fn is_of(&self, system: &System) -> bool {
        system.is(&self.runtime, &self.workload, self.containerd.as_deref())
    }
}

/// What tells systems apart.
type Key<'a> = (&'a str, &'a str, Option<Release>);

fn keys<'a>(run: &'a Run, experiment: &'a Experiment) -> Vec<Key<'a>> {
    let releases = match experiment.compared_releases() {
        [] => vec![None],
        compared => compared.iter().copied().map(Some).collect(),
    };
    let mut keys: Vec<Key<'a>> = experiment
        .series
        .iter()
        .flat_map(|series| {
            let key = |release: &Option<Release>| {
                (series.runtime.as_str(), series.workload.as_str(), *release)
            };
            releases.iter().map(key).collect::<Vec<_>>()
        })
        .collect();
    let is_compared = releases[0].is_some();
    let release = |cell: &Cell| cell.containerd.as_deref().and_then(Release::of_version);
    let mut measured: Vec<Key<'a>> = run
        .cells
        .iter()
        .map(|record| &record.cell)
        .map(|cell| {
            let release = release(cell).filter(|_| is_compared);
            (cell.runtime.as_str(), cell.workload.as_str(), release)
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
    for (runtime, workload, containerd) in keys(run, experiment) {
        let is_it = |known: &System| {
            (known.runtime.as_str(), known.workload.as_str(), known.containerd)
                == (runtime, workload, containerd)
        };
        if systems.iter().any(is_it) {
            continue;
        }
        let cell = run
            .cells
            .iter()
            .map(|record| &record.cell)
            .find(|cell| cell.runtime == runtime && cell.workload == workload);
        systems.push(System {
            runtime: runtime.to_owned(),
            workload: workload.to_owned(),
            containerd,
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
        if let Some(release) = system.containerd {
            system.title = format!("{}, containerd {release}", system.title);
        }
    }
    systems
}
