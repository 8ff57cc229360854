//! A whole run as numbers: cells, groups of repetitions, ratios, slopes. `numbers.json` is this.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wamr_record::environment::Environment;
use wamr_record::experiment::Experiment;
use wamr_record::reader::{CellRecord, Run};

use crate::attribution::private_memory;
use crate::cell_figures::{CellFigures, State, cell_figures};
use crate::estimator::slope;
use crate::evidence::system_evidence;
use crate::format::clean;
use crate::group::{Group, Key, group, ratios};
use crate::stats::Spread;
use crate::stats::bootstrap::{SETTINGS, Settings, spread};
use crate::system::{System, systems};
use crate::verify::check::Findings;
use crate::verify::defect::Defect;

/// Version of the layout of numbers.json.
pub const NUMBERS_VERSION: u32 = 1;

/// Everything that a report says, before it is put into words.
#[derive(Debug, Serialize)]
pub struct Study {
    /// [`NUMBERS_VERSION`].
    pub numbers_version: u32,
    /// Program and version that computed the numbers.
    pub generator: String,
    /// How intervals were drawn.
    pub bootstrap: Settings,
    /// What the run is.
    pub run: RunFacts,
    /// Machine and node.
    pub environment: Environment,
    /// Systems under test, in the order of the tables.
    pub systems: Vec<System>,
    /// Every cell in the order of the run.
    pub cells: Vec<CellFigures>,
    /// Cells that the plan asks for and the run does not hold.
    pub missing: Vec<MissingCell>,
    /// Repetitions of the same system and density together.
    pub groups: Vec<Group>,
    /// What one more pod costs.
    pub slopes: Vec<Slope>,
    /// What is wrong with the run directory; empty unless it was read nevertheless.
    pub defects: Vec<Defect>,
    /// Samples and phases of the run over time; drawn, not repeated as numbers.
    #[serde(skip)]
    pub timeline: Vec<crate::timeline::CellTrace>,
}

/// What the run is.
#[derive(Debug, Serialize)]
pub struct RunFacts {
    /// The run directory's name.
    pub name: String,
    /// The experiment's title.
    pub title: String,
    /// Version of the lab.
    pub lab_version: String,
    /// When it began.
    pub begin_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// When it was resumed after having been broken off.
    pub resumed_ns: Vec<i64>,
    /// Parts of names that chose its cells; empty if all were asked for.
    pub only: Vec<String>,
    /// Daemons that were asked to collect their heap before each level of memory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heaps_collected: Vec<String>,
    /// Seed of the order of its cells.
    pub order_seed: u64,
    /// Files whose digest was compared with the manifest.
    pub files_compared: usize,
}

/// A cell that was planned but is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingCell {
    /// Index in [`Study::systems`].
    pub system: usize,
    /// Pods.
    pub pods: u32,
    /// Repetition, from 1.
    pub repetition: u32,
}

/// What one more pod of a system costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slope {
    /// Index in [`Study::systems`].
    pub system: usize,
    /// Number of densities it is drawn through.
    pub densities: usize,
    /// Bytes of MemFree for one more pod.
    pub free_bytes_per_pod: f64,
    /// How far that may be off.
    pub free_spread: Spread,
    /// Bytes of MemFree that do not depend on the number of pods.
    pub free_fixed_bytes: f64,
    /// Bytes of MemAvailable for one more pod.
    pub available_bytes_per_pod: Option<f64>,
}

/// Computes everything from a run.
pub fn study(run: &Run, experiment: &Experiment, findings: Findings) -> Study {
    let mut systems = systems(run, experiment);
    let cells: Vec<CellFigures> = run.cells.iter().map(cell_figures).collect();
    let keys = keys(&systems, &cells, experiment);
    let mut groups: Vec<Group> =
        keys.iter().map(|&key| group(key, &systems, &cells, experiment)).collect();
    ratios(&mut groups, &systems, &cells);
    for system in &mut systems {
        let of_system: Vec<&CellRecord> =
            run.cells.iter().filter(|record| system.is_of(&record.cell)).collect();
        let valid: Vec<&CellRecord> =
            of_system.iter().copied().filter(|record| record.cell.verdict.is_valid()).collect();
        system.private = private_memory(&valid);
        system.evidence = system_evidence(&of_system);
    }
    Study {
        numbers_version: NUMBERS_VERSION,
        generator: concat!("wamr-report ", env!("CARGO_PKG_VERSION")).to_owned(),
        bootstrap: SETTINGS,
        run: RunFacts {
            name: clean(&run.manifest.run),
            title: clean(&run.manifest.title),
            lab_version: clean(&run.manifest.lab_version),
            begin_ns: run.manifest.begin_ns,
            end_ns: run.manifest.end_ns,
            resumed_ns: run.manifest.resumed_ns.clone(),
            only: run.manifest.only.iter().map(|part| clean(part)).collect(),
            heaps_collected: run.manifest.heaps_collected.iter().map(|it| clean(it)).collect(),
            order_seed: experiment.seed,
            files_compared: findings.files,
        },
        environment: run.environment.clone(),
        missing: missing(&systems, &cells, experiment),
        slopes: slopes(&systems, &cells),
        timeline: crate::timeline::traces(run, &systems),
        systems,
        cells,
        groups,
        defects: findings.defects,
    }
}

impl Study {
    /// Number of cells that count.
    pub fn valid_cells(&self) -> usize {
        self.cells.iter().filter(|cell| cell.state == State::Valid).count()
    }

    /// All densities with at least one group, ascending.
    pub fn densities(&self) -> Vec<u32> {
        let densities: BTreeSet<u32> = self.groups.iter().map(|group| group.key.pods).collect();
        densities.into_iter().collect()
    }

    /// The system that others are compared with: the first of ours.
    pub fn reference(&self) -> Option<&System> {
        self.systems.iter().find(|system| system.ours)
    }
}

fn keys(systems: &[System], cells: &[CellFigures], experiment: &Experiment) -> Vec<Key> {
    let mut keys = BTreeSet::new();
    for (index, system) in systems.iter().enumerate() {
        if system.is_planned(experiment) && experiment.repetitions > 0 {
            keys.extend(experiment.densities.iter().map(|&pods| Key { pods, system: index }));
        }
        let measured = cells.iter().filter(|cell| cell.is_of(system));
        keys.extend(measured.map(|cell| Key { pods: cell.pods, system: index }));
    }
    keys.into_iter().collect()
}

fn missing(systems: &[System], cells: &[CellFigures], experiment: &Experiment) -> Vec<MissingCell> {
    let mut missing = Vec::new();
    for (index, system) in systems.iter().enumerate() {
        let there: BTreeSet<(u32, u32)> = cells
            .iter()
            .filter(|cell| cell.is_of(system))
            .map(|cell| (cell.pods, cell.repetition))
            .collect();
        let is_planned = system.is_planned(experiment);
        for &pods in experiment.densities.iter().filter(|_| is_planned) {
            for repetition in 1..=experiment.repetitions {
                if !there.contains(&(pods, repetition)) {
                    missing.push(MissingCell { system: index, pods, repetition });
                }
            }
        }
    }
    missing
}

fn slopes(systems: &[System], cells: &[CellFigures]) -> Vec<Slope> {
    let mut slopes = Vec::new();
    for (index, system) in systems.iter().enumerate() {
        let valid: Vec<&CellFigures> =
            cells.iter().filter(|cell| cell.is_of(system) && cell.state == State::Valid).collect();
        let blocks: Vec<u32> =
            valid.iter().map(|cell| cell.repetition).collect::<BTreeSet<_>>().into_iter().collect();
        let points = |chosen: &[u32], total: fn(&CellFigures) -> Option<f64>| {
            chosen
                .iter()
                .flat_map(|&repetition| {
                    valid.iter().filter(move |cell| cell.repetition == repetition)
                })
                .filter_map(|cell| Some((f64::from(cell.pods), total(cell)?)))
                .collect::<Vec<_>>()
        };
        let free = |chosen: &[u32]| slope::marginal(&points(chosen, |cell| cell.total_free_bytes));
        let Some(line) = free(&blocks) else { continue };
        let densities: BTreeSet<u32> = valid.iter().map(|cell| cell.pods).collect();
        slopes.push(Slope {
            system: index,
            densities: densities.len(),
            free_bytes_per_pod: line.slope,
            free_spread: spread(blocks.len(), |drawn| {
                let chosen: Vec<u32> = drawn.iter().map(|&block| blocks[block]).collect();
                Some(free(&chosen)?.slope)
            }),
            free_fixed_bytes: line.intercept,
            available_bytes_per_pod: slope::marginal(&points(&blocks, |cell| {
                cell.total_available_bytes
            }))
            .map(|line| line.slope),
        });
    }
    slopes
}

/// Groups by density: the order of tables and figures.
pub fn by_density(groups: &[Group]) -> BTreeMap<u32, Vec<&Group>> {
    let mut panels: BTreeMap<u32, Vec<&Group>> = BTreeMap::new();
    for group in groups {
        panels.entry(group.key.pods).or_default().push(group);
    }
    panels
}
