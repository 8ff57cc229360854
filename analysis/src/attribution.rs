//! Where the memory of a cell is: processes by role, the kernel's counters, and what is left.

use std::collections::BTreeMap;

use serde::Serialize;
use wamr_record::account::{Account, REST_REMARKED};
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

/// Puts the parts of a pod's memory into `values`: bytes of the cell's [`Account`] divided by its
/// pods. [`PARTS`] and [`Measure::PartRest`] sum up to [`Measure::PartsTaken`].
pub fn parts(record: &CellRecord, values: &mut BTreeMap<Measure, f64>) {
    let Some(account) = Account::of_cell(&record.samples, &record.attribution) else { return };
    let pods = f64::from(record.cell.pods);
    if record.cell.pods == 0 {
        return;
    }
    let kernel = [
        (Measure::KernelSlab, account.slab),
        (Measure::KernelStacks, account.kernel_stacks),
        (Measure::KernelPageTables, account.page_tables),
        (Measure::KernelPercpu, account.percpu),
        (Measure::KernelVmalloc, account.vmalloc),
    ];
    let of_pods = [
        (Measure::PartContainerPrivate, account.container_private),
        (Measure::PartContainerShared, account.container_shared),
        (Measure::PartPause, account.pause),
        (Measure::PartShim, account.shim),
        (Measure::PartDaemons, account.all_daemons()),
    ];
    let sum = |parts: &[(Measure, f64)]| parts.iter().map(|part| part.1).sum::<f64>();
    let others = [
        (Measure::PartPageCache, account.page_cache),
        (Measure::PartKernel, sum(&kernel)),
        (Measure::PartRest, account.rest()),
        (Measure::PartsTaken, account.taken),
        (Measure::Processes, sum(&of_pods)),
    ];
    let daemons = DAEMONS.map(|(role, measure)| (measure, account.daemons[&role]));
    for (measure, bytes) in kernel.into_iter().chain(of_pods).chain(others).chain(daemons) {
        values.insert(measure, bytes / pods);
    }
}

/// The parts that have a name.
pub const PARTS: [Measure; 7] = [
    Measure::PartContainerPrivate,
    Measure::PartContainerShared,
    Measure::PartPause,
    Measure::PartShim,
    Measure::PartDaemons,
    Measure::PartPageCache,
    Measure::PartKernel,
];

/// True if more of what a cell took is unexplained than a reader should pass over.
pub fn is_open(values: &BTreeMap<Measure, f64>) -> bool {
    let of = |measure| values.get(&measure).copied();
    of(Measure::PartRest)
        .zip(of(Measure::PartsTaken))
        .is_some_and(|(rest, taken)| taken <= 0.0 || rest.abs() > REST_REMARKED * taken)
}

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
        node: None,
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
