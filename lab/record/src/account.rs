//! Where the memory went that a cell took from the machine: every part has a name, and what no part
//! explains is the rest. Pure; the lab and the report share it, so that both flag the same cells.

use std::collections::BTreeMap;

use crate::cell::{PhaseName, ProcessMemory, Role};
use crate::sample::{Meminfo, Reading, Sample};

/// A rest above this share of what was taken is flagged.
pub const REST_REMARKED: f64 = 0.05;

/// Two moments of the machine, and what was taken between them by `free`. Bytes of all pods
/// together; a part may shrink.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// By how much MemFree fell, the lab itself and the processors' lists set aside.
    pub taken: f64,
    /// Memory that only a container's process maps.
    pub container_private: f64,
    /// The containers' share of pages that others map, too.
    pub container_shared: f64,
    /// Pause processes.
    pub pause: f64,
    /// Shims.
    pub shim: f64,
    /// Growth of what is there without pods, by role.
    pub daemons: BTreeMap<Role, f64>,
    /// Growth of page cache, buffers and shared memory that no process maps.
    pub page_cache: f64,
    /// Growth of the kernel's slab caches.
    pub slab: f64,
    /// Growth of kernel stacks.
    pub kernel_stacks: f64,
    /// Growth of page tables, secondary ones included.
    pub page_tables: f64,
    /// Growth of per-processor areas.
    pub percpu: f64,
    /// Growth of vmalloc areas besides kernel stacks: seccomp filters and other loaded programs.
    pub vmalloc: f64,
}

/// Roles that exist without pods; the lab is one of them only if its memory is not known.
const DAEMONS: [Role; 6] = [
    Role::Containerd,
    Role::Kubelet,
    Role::ControlPlane,
    Role::MetricsServer,
    Role::Other,
    Role::Lab,
];

impl Account {
    /// The account between `before` and `plateau`; `processes` holds both walks. `None` without a
    /// walk with pods, or without one before them.
    ///
    /// Formulas: private = Σ (Private_Clean + Private_Dirty), shared = Σ Pss - private, pause and
    /// shim = Σ Pss, daemons = growth of Σ Pss, page cache = growth of Cached and Buffers less the
    /// growth of all processes' Pss that is not anonymous, vmalloc = growth of VmallocUsed less
    /// that of KernelStack, which lies in it.
    ///
    /// Source: proc_pid_smaps(5): a page that n processes map counts 1/n for each;
    /// proc_meminfo(5); `CONFIG_VMAP_STACK`.
    pub fn between(
        before: &Meminfo,
        plateau: &Meminfo,
        processes: &[ProcessMemory],
    ) -> Option<Self> {
        let in_phase = |phase| processes.iter().filter(move |line| line.phase == phase);
        let is_of_pod = |line: &ProcessMemory| matches!(line.role, Role::Container | Role::Pause);
        if !in_phase(PhaseName::Plateau).any(is_of_pod)
            || in_phase(PhaseName::Before).next().is_none()
        {
            return None;
        }
        let lab_is_known = plateau.lab_bytes > 0;
        let counts = |line: &&ProcessMemory| !(lab_is_known && line.role == Role::Lab);
        let of = |phase, role| in_phase(phase).filter(counts).filter(move |line| line.role == role);
        let pss = |phase, role| of(phase, role).map(|line| line.pss_bytes as f64).sum::<f64>();
        let growth = |role| pss(PhaseName::Plateau, role) - pss(PhaseName::Before, role);
        let mapped = |phase| {
            let shared = |line: &ProcessMemory| line.pss_bytes.saturating_sub(line.pss_anon_bytes);
            in_phase(phase).filter(counts).map(|line| shared(line) as f64).sum::<f64>()
        };
        let rise = |of: fn(&Meminfo) -> u64| of(plateau) as f64 - of(before) as f64;
        let private: f64 = of(PhaseName::Plateau, Role::Container)
            .map(|line| (line.private_clean_bytes + line.private_dirty_bytes) as f64)
            .sum();
        let kernel_stacks = rise(|meminfo| meminfo.kernel_stack_bytes);
        let vmalloc = if before.vmalloc_bytes == 0 {
            0.0
        } else {
            rise(|meminfo| meminfo.vmalloc_bytes) - kernel_stacks
        };
        Some(Self {
            taken: -rise(Meminfo::all_free_bytes),
            container_private: private,
            container_shared: growth(Role::Container) - private,
            pause: growth(Role::Pause),
            shim: growth(Role::Shim),
            daemons: DAEMONS.iter().map(|&role| (role, growth(role))).collect(),
            page_cache: rise(|meminfo| meminfo.cached_bytes + meminfo.buffers_bytes)
                - (mapped(PhaseName::Plateau) - mapped(PhaseName::Before)),
            slab: rise(|meminfo| meminfo.slab_bytes),
            kernel_stacks,
            page_tables: rise(|meminfo| {
                meminfo.page_tables_bytes + meminfo.secondary_page_tables_bytes
            }),
            percpu: rise(|meminfo| meminfo.percpu_bytes),
            vmalloc,
        })
    }

    /// The account of a cell: between the readings at its two walks; in a run without these
    /// between the medians of its levels.
    pub fn of_cell(samples: &[Sample], processes: &[ProcessMemory]) -> Option<Self> {
        let at_walk = |phase| {
            samples.iter().find_map(|sample| match &sample.reading {
                Reading::MeminfoAtWalk(meminfo) if sample.phase == phase => Some(*meminfo),
                _ => None,
            })
        };
        let level = |phase| median(samples, phase);
        let (before, plateau) = at_walk(PhaseName::Before)
            .zip(at_walk(PhaseName::Plateau))
            .or_else(|| level(PhaseName::Before).zip(level(PhaseName::Plateau)))?;
        Self::between(&before, &plateau, processes)
    }

    /// Growth of all that is there without pods.
    pub fn all_daemons(&self) -> f64 {
        self.daemons.values().sum()
    }

    /// What was taken and has no name.
    pub fn rest(&self) -> f64 {
        self.taken
            - self.container_private
            - self.container_shared
            - self.pause
            - self.shim
            - self.all_daemons()
            - self.page_cache
            - self.slab
            - self.kernel_stacks
            - self.page_tables
            - self.percpu
            - self.vmalloc
    }

    /// The rest as a share of what was taken, without a sign; infinite if nothing was taken.
    pub fn rest_share(&self) -> f64 {
        if self.taken > 0.0 { self.rest().abs() / self.taken } else { f64::INFINITY }
    }
}

/// Medians, field by field, of the readings of a phase.
fn median(samples: &[Sample], phase: PhaseName) -> Option<Meminfo> {
    let readings: Vec<&Meminfo> = samples
        .iter()
        .filter(|sample| sample.phase == phase)
        .filter_map(|sample| match &sample.reading {
            Reading::Meminfo(meminfo) => Some(meminfo),
            _ => None,
        })
        .collect();
    let middle = |of: &dyn Fn(&Meminfo) -> u64| {
        let mut values: Vec<u64> = readings.iter().map(|meminfo| of(meminfo)).collect();
        values.sort_unstable();
        let at = values.len() / 2;
        let even = values.len().is_multiple_of(2);
        if even { values[at - 1].midpoint(values[at]) } else { values[at] }
    };
    if readings.is_empty() {
        return None;
    }
    let medians = Meminfo::from_fields(|field| middle(&field.of));
    Some(Meminfo {
        free_bytes: middle(&Meminfo::all_free_bytes).saturating_sub(medians.lab_bytes),
        available_bytes: middle(&Meminfo::all_available_bytes).saturating_sub(medians.lab_bytes),
        // They are in the free memory above: the sum is level, its parts are not.
        per_cpu_lists_bytes: 0,
        ..medians
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(role: Role, phase: PhaseName, anon_bytes: u64, file_bytes: u64) -> ProcessMemory {
        ProcessMemory {
            role,
            phase,
            pid: 1,
            node: None,
            exe: String::new(),
            pod: None,
            rss_bytes: anon_bytes + file_bytes,
            pss_bytes: anon_bytes + file_bytes,
            pss_anon_bytes: anon_bytes,
            pss_file_bytes: file_bytes,
            private_clean_bytes: 0,
            private_dirty_bytes: anon_bytes,
            private_by_mapping: BTreeMap::new(),
        }
    }

    fn meminfo(free_bytes: u64, lab_bytes: u64) -> Meminfo {
        Meminfo {
            free_bytes,
            lab_bytes,
            cached_bytes: 1000,
            slab_bytes: 100,
            kernel_stack_bytes: 10,
            vmalloc_bytes: 50,
            ..Meminfo::default()
        }
    }

    /// A machine that loses what its parts grow by, and 7 more.
    fn moments(lab_growth: u64) -> (Meminfo, Meminfo, Vec<ProcessMemory>) {
        use PhaseName::{Before, Plateau};
        let before = meminfo(10_000, 500);
        let grown = 300 + 40 + 20 + 5 + 60 + 30 + 8 + 2 + 7;
        let plateau = Meminfo {
            cached_bytes: 1000 + 40 + 20,
            slab_bytes: 130,
            kernel_stack_bytes: 18,
            vmalloc_bytes: 50 + 8 + 2,
            ..meminfo(10_000 - grown - lab_growth, 500 + lab_growth)
        };
        let processes = vec![
            process(Role::Containerd, Before, 200, 50),
            process(Role::Lab, Before, 500, 10),
            process(Role::Containerd, Plateau, 260, 50),
            process(Role::Lab, Plateau, 500 + lab_growth, 10),
            process(Role::Container, Plateau, 300, 40),
            process(Role::Pause, Plateau, 5, 0),
        ];
        (before, plateau, processes)
    }

    #[test]
    fn every_byte_has_a_name_but_the_rest() {
        for lab_growth in [0, 90] {
            let (before, plateau, processes) = moments(lab_growth);
            let account = Account::between(&before, &plateau, &processes).unwrap();
            let parts = [
                account.container_private,
                account.container_shared,
                account.pause,
                account.all_daemons(),
                account.page_cache,
                account.slab,
                account.kernel_stacks,
                account.vmalloc,
                account.rest(),
            ];
            let parts = parts.map(|part| part as i64);
            assert_eq!(parts, [300, 40, 5, 60, 20, 30, 8, 2, 7], "{lab_growth}");
        }
    }

    /// Old runs do not know the lab's memory at every reading; then it is one of the daemons.
    #[test]
    fn an_unknown_lab_is_a_daemon() {
        let (mut before, mut plateau, processes) = moments(90);
        (before.lab_bytes, plateau.lab_bytes) = (0, 0);
        let account = Account::between(&before, &plateau, &processes).unwrap();
        assert_eq!((account.daemons[&Role::Lab] as i64, account.rest() as i64), (90, 7));
    }

    #[test]
    fn the_walks_own_readings_come_before_medians() {
        let (before, plateau, processes) = moments(0);
        let sample = |phase, reading| Sample { taken_ns: 1, phase, pods_running: 0, reading };
        let level = |phase, meminfo: &Meminfo| sample(phase, Reading::Meminfo(*meminfo));
        let mut samples =
            vec![level(PhaseName::Before, &before), level(PhaseName::Plateau, &plateau)];
        let rest = |account: &Account| account.rest() as i64;
        assert_eq!(rest(&Account::of_cell(&samples, &processes).unwrap()), 7);
        let later = Meminfo { free_bytes: plateau.free_bytes - 3, ..plateau };
        samples.push(sample(PhaseName::Before, Reading::MeminfoAtWalk(before)));
        samples.push(sample(PhaseName::Plateau, Reading::MeminfoAtWalk(later)));
        let account = Account::of_cell(&samples, &processes).unwrap();
        assert_eq!((rest(&account), account.rest_share() > 0.02), (10, true));
        assert_eq!(Account::of_cell(&samples, &processes[2..]), None, "no walk before");
        assert_eq!(Account::of_cell(&[], &processes), None);
        assert!(Account::default().rest_share().is_infinite());
    }
}
