//! Where the memory of a cell is: processes by role, and what no process explains.

use std::collections::BTreeMap;

use serde::Serialize;
use wamr_record::cell::{PhaseName, ProcessMemory, Role};
use wamr_record::reader::CellRecord;

use crate::measure::Measure;
use crate::stats::quantile::{median, of_sorted, sorted};

/// Processes that are there before the pods: only their growth belongs to the pods.
const DAEMONS: [(Role, Measure); 6] = [
    (Role::Containerd, Measure::GrowthContainerd),
    (Role::Kubelet, Measure::GrowthKubelet),
    (Role::ControlPlane, Measure::GrowthControlPlane),
    (Role::MetricsServer, Measure::GrowthMetricsServer),
    (Role::Lab, Measure::GrowthLab),
    (Role::Other, Measure::GrowthOther),
];

/// Puts the parts of a pod's memory into `values`; they sum up to [`Measure::FreePaper`].
///
/// Formulas, over the processes of the plateau and divided by the pods:
/// private = Σ (Private_Clean + Private_Dirty), shared = Σ Pss - private, pause and shim = Σ Pss,
/// daemons = Σ Pss on the plateau - Σ Pss before, rest = the taken memory - all of these.
/// Source of Pss: proc_pid_smaps(5); a page that n processes map counts 1/n for each.
pub fn parts(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) {
    let pods = f64::from(record.cell.pods);
    let lines = &record.attribution;
    let on_plateau = |role| of_role(lines, PhaseName::Plateau, role);
    if record.cell.pods == 0 || on_plateau(Role::Container).next().is_none() {
        return;
    }
    let private: f64 = on_plateau(Role::Container).map(private_bytes).sum();
    let pss = |role| on_plateau(role).map(|line| line.pss_bytes as f64).sum::<f64>();
    values.insert(Measure::PartContainerPrivate, private / pods);
    values.insert(Measure::PartContainerShared, (pss(Role::Container) - private) / pods);
    values.insert(Measure::PartPause, pss(Role::Pause) / pods);
    values.insert(Measure::PartShim, pss(Role::Shim) / pods);
    // Without a walk before the pods the growth is unknown and stays in the rest.
    if lines.iter().any(|line| line.phase == PhaseName::Before) {
        let mut all = 0.0;
        for (role, measure) in DAEMONS {
            let before: f64 =
                of_role(lines, PhaseName::Before, role).map(|line| line.pss_bytes as f64).sum();
            let growth = (pss(role) - before) / pods;
            values.insert(measure, growth);
            all += growth;
        }
        values.insert(Measure::PartDaemons, all);
    }
    let Some(&taken) = values.get(&Measure::FreePaper) else { return };
    let known: f64 = PARTS.iter().filter_map(|part| values.get(part)).sum();
    values.insert(Measure::PartRest, taken - known);
}

/// The parts that processes explain.
pub const PARTS: [Measure; 5] = [
    Measure::PartContainerPrivate,
    Measure::PartContainerShared,
    Measure::PartPause,
    Measure::PartShim,
    Measure::PartDaemons,
];

fn of_role(
    lines: &[ProcessMemory],
    phase: PhaseName,
    role: Role,
) -> impl Iterator<Item = &ProcessMemory> {
    lines.iter().filter(move |line| line.phase == phase && line.role == role)
}

fn private_bytes(line: &ProcessMemory) -> f64 {
    line.private_clean_bytes as f64 + line.private_dirty_bytes as f64
}

/// Memory that only a container's own process maps, over all containers of a system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrivateMemory {
    /// Containers looked at.
    pub containers: usize,
    /// Middle container.
    pub median_bytes: f64,
    /// Smallest container.
    pub min_bytes: f64,
    /// Largest container.
    pub max_bytes: f64,
    /// Middle container's resident set, shared pages counted in full.
    pub rss_median_bytes: f64,
    /// Middle container's share of pages that others map too.
    pub shared_median_bytes: f64,
    /// Containers whose mappings were listed.
    pub mapped_containers: usize,
    /// Private bytes by mapping, median over those containers, largest first.
    pub by_mapping: Vec<(String, f64)>,
}

/// Private memory over the containers of `records`; `None` if they have none.
pub fn private_memory(records: &[&CellRecord]) -> Option<PrivateMemory> {
    let containers: Vec<&ProcessMemory> = records
        .iter()
        .flat_map(|record| of_role(&record.attribution, PhaseName::Plateau, Role::Container))
        .collect();
    let of = |figure: fn(&ProcessMemory) -> f64| -> Vec<f64> {
        containers.iter().map(|line| figure(line)).collect()
    };
    let ascending = sorted(&of(private_bytes));
    let mapped: Vec<&&ProcessMemory> =
        containers.iter().filter(|line| !line.private_by_mapping.is_empty()).collect();
    Some(PrivateMemory {
        containers: containers.len(),
        median_bytes: of_sorted(&ascending, 0.5)?,
        min_bytes: of_sorted(&ascending, 0.0)?,
        max_bytes: of_sorted(&ascending, 1.0)?,
        rss_median_bytes: median(&of(|line| line.rss_bytes as f64))?,
        shared_median_bytes: median(&of(|line| line.pss_bytes as f64 - private_bytes(line)))?,
        mapped_containers: mapped.len(),
        by_mapping: by_mapping(&mapped),
    })
}

fn by_mapping(mapped: &[&&ProcessMemory]) -> Vec<(String, f64)> {
    let mut names: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for line in mapped {
        for (name, &bytes) in &line.private_by_mapping {
            names.entry(name).or_default().push(bytes as f64);
        }
    }
    let mut medians: Vec<(String, f64)> = names
        .into_iter()
        .filter_map(|(name, mut bytes)| {
            // A container that lacks the mapping has nothing in it.
            bytes.resize(mapped.len(), 0.0);
            Some((name.to_owned(), median(&bytes)?))
        })
        .collect();
    medians.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    medians
}

#[test]
fn a_container_without_a_mapping_has_nothing_in_it() {
    let line = |mappings: &[(&str, u64)]| ProcessMemory {
        role: Role::Container,
        phase: PhaseName::Plateau,
        pid: 1,
        exe: "x".to_owned(),
        pod: None,
        rss_bytes: 0,
        pss_bytes: 0,
        pss_anon_bytes: 0,
        pss_file_bytes: 0,
        private_clean_bytes: 0,
        private_dirty_bytes: 0,
        private_by_mapping: mappings.iter().map(|&(name, size)| (name.to_owned(), size)).collect(),
    };
    let lines = [line(&[("a", 10), ("b", 90)]), line(&[("a", 20)]), line(&[("a", 30)])];
    let mapped: Vec<&ProcessMemory> = lines.iter().collect();
    let found = by_mapping(&mapped.iter().collect::<Vec<_>>());
    assert_eq!(found, [("a".to_owned(), 20.0), ("b".to_owned(), 0.0)]);
}
