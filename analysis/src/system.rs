//! Systems under test: a runtime with a workload.

use serde::Serialize;
use wamr_record::experiment::Experiment;
use wamr_record::reader::{CellRecord, Run};

use crate::attribution::PrivateMemory;
use crate::cell_figures::CellFigures;
use crate::evidence::SystemEvidence;
use crate::format::clean;

/// A runtime with a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct System {
    /// Row of runtimes.toml.
    pub runtime: String,
    /// Workload image.
    pub workload: String,
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
    /// True if `record` is of it.
    pub fn is_of(&self, record: &CellRecord) -> bool {
        record.cell.runtime == self.runtime && record.cell.workload == self.workload
    }
}

impl CellFigures {
    /// True if the cell measured `system`.
    pub fn is_of(&self, system: &System) -> bool {
        self.runtime == system.runtime && self.workload == system.workload
    }
}

/// Those of a run, in the order of the tables.
///
/// The plan's order first, then what else was measured, by name.
pub fn systems(run: &Run, experiment: &Experiment) -> Vec<System> {
    let planned = experiment.series.iter().map(|series| (&series.runtime, &series.workload));
    let mut measured: Vec<_> =
        run.cells.iter().map(|record| (&record.cell.runtime, &record.cell.workload)).collect();
    measured.sort();
    let mut systems: Vec<System> = Vec::new();
    for (runtime, workload) in planned.chain(measured) {
        if systems.iter().any(|known| known.runtime == *runtime && known.workload == *workload) {
            continue;
        }
        let cell = run
            .cells
            .iter()
            .map(|record| &record.cell)
            .find(|cell| cell.runtime == *runtime && cell.workload == *workload);
        systems.push(System {
            runtime: runtime.clone(),
            workload: workload.clone(),
            title: cell.map_or_else(|| clean(runtime), |cell| clean(&cell.runtime_title)),
            remark: cell.and_then(|cell| cell.runtime_remark.as_deref()).map(clean),
            language: cell.map_or_else(String::new, |cell| clean(&cell.language)),
            ours: cell.is_some_and(|cell| cell.ours),
            private: None,
            evidence: None,
        });
    }
    let titles: Vec<String> = systems.iter().map(|system| system.title.clone()).collect();
    for system in &mut systems {
        if titles.iter().filter(|title| **title == system.title).count() > 1 {
            system.title = format!("{}, {}", system.title, clean(&system.workload));
        }
    }
    systems
}
