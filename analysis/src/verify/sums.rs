//! Figures of one line that cannot all be true: a part larger than its whole, a time outside of
//! its phase.

use wamr_record::cell::{Cell, Phase, ProcessMemory, Role};
use wamr_record::sample::{Meminfo, Reading, Sample};

use super::defect::Defect;

/// How far a reading may lie outside of its phase: the clock is read before the source.
const SLACK_NS: i64 = 2_000_000_000;

/// At most so many defects per file: one broken writer breaks every line.
const MAX_PER_FILE: usize = 5;

/// The last moment of a reading of `phase`. A walk over the processes comes after the phase's other
/// readings, and many processes take a while.
fn last_ns(sample: &Sample, phase: &Phase, next: Option<&Phase>) -> i64 {
    match (&sample.reading, next) {
        (Reading::MeminfoAtWalk(_), Some(next)) => next.begin_ns,
        _ => phase.end_ns,
    }
}

/// Checks every reading of a cell.
pub fn check_samples(
    path: &str,
    samples: &[(usize, Sample)],
    cell: &Cell,
    defects: &mut Vec<Defect>,
) {
    let mut found = Vec::new();
    for (line, sample) in samples {
        let mut add = |text: String| found.push(Defect::at(path, Some(*line), text));
        if let Reading::Meminfo(meminfo) = &sample.reading {
            for (part, bytes, whole, whole_bytes) in too_large(meminfo) {
                add(format!("{part} is {bytes} bytes, more than {whole} with {whole_bytes}"));
            }
        }
        let place = cell.phases.iter().position(|phase| phase.name == sample.phase);
        match place.map(|place| (&cell.phases[place], cell.phases.get(place + 1))) {
            None => add(format!("taken in {:?}, which the cell does not have", sample.phase)),
            Some((phase, next))
                if sample.taken_ns.saturating_add(SLACK_NS) < phase.begin_ns
                    || sample.taken_ns > last_ns(sample, phase, next).saturating_add(SLACK_NS) =>
            {
                add(format!("taken outside of {:?}", sample.phase));
            }
            Some(_) => {}
        }
    }
    found.extend(wrong_sums(path, samples));
    found.truncate(MAX_PER_FILE);
    defects.extend(found);
}

/// The memory of several machines must be the sum of theirs, which are read right before it.
fn wrong_sums<'a>(
    path: &'a str,
    samples: &'a [(usize, Sample)],
) -> impl Iterator<Item = Defect> + 'a {
    let mut machines: Vec<Meminfo> = Vec::new();
    samples.iter().filter_map(move |(line, sample)| match &sample.reading {
        Reading::MachineMeminfo { meminfo, .. } => {
            machines.push(*meminfo);
            None
        }
        Reading::Meminfo(sum) => {
            let parts = std::mem::take(&mut machines);
            let wrong = !parts.is_empty() && parts.iter().copied().sum::<Meminfo>() != *sum;
            let text = format!("not the sum of the {} machines before it", parts.len());
            wrong.then(|| Defect::at(path, Some(*line), text))
        }
        _ => None,
    })
}

/// Checks the readings before memory was level; they may lie between phases.
pub fn check_settling(path: &str, samples: &[(usize, Sample)], defects: &mut Vec<Defect>) {
    let found = samples.iter().filter_map(|(line, sample)| {
        let Reading::Meminfo(meminfo) = &sample.reading else { return None };
        let (part, bytes, whole, whole_bytes) = too_large(meminfo).next()?;
        let text = format!("{part} is {bytes} bytes, more than {whole} with {whole_bytes}");
        Some(Defect::at(path, Some(*line), text))
    });
    defects.extend(found.take(MAX_PER_FILE));
}

type TooLarge = (&'static str, u64, &'static str, u64);

fn too_large(meminfo: &Meminfo) -> impl Iterator<Item = TooLarge> {
    let total = ("MemTotal", meminfo.total_bytes);
    [
        ("MemFree", meminfo.free_bytes, total),
        ("MemAvailable", meminfo.available_bytes, total),
        ("Cached", meminfo.cached_bytes, total),
        ("AnonPages", meminfo.anon_bytes, total),
        ("Slab", meminfo.slab_bytes, total),
        ("SReclaimable", meminfo.slab_reclaimable_bytes, ("Slab", meminfo.slab_bytes)),
    ]
    .into_iter()
    .filter(|(_, bytes, whole)| *bytes > whole.1)
    .map(|(part, bytes, whole)| (part, bytes, whole.0, whole.1))
}

/// Checks every process of a cell.
pub fn check_processes(
    path: &str,
    processes: &[(usize, ProcessMemory)],
    cell: &Cell,
    defects: &mut Vec<Defect>,
) {
    let mut found = Vec::new();
    let mut containers = 0_u64;
    for (line, process) in processes {
        containers += u64::from(process.role == Role::Container);
        let private = process.private_clean_bytes.saturating_add(process.private_dirty_bytes);
        let mapped = process
            .private_by_mapping
            .values()
            .fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        for (part, bytes, whole, whole_bytes) in [
            ("private", private, "Rss", process.rss_bytes),
            ("Pss", process.pss_bytes, "Rss", process.rss_bytes),
            // The mappings are read one after the other while the process may still run.
            ("the sum of the mappings", mapped / 2, "twice the private memory", private.max(1)),
        ] {
            if bytes > whole_bytes {
                let text = format!("{part} is {bytes} bytes, more than {whole} with {whole_bytes}");
                found.push(Defect::at(path, Some(*line), text));
            }
        }
    }
    found.truncate(MAX_PER_FILE);
    defects.extend(found);
    if cell.verdict.is_valid() && containers > u64::from(cell.pods) {
        let text = format!("{containers} containers, the cell has {} pods", cell.pods);
        defects.push(Defect::file(path, text));
    }
}

#[test]
fn a_sum_of_machines_must_be_one() {
    let meminfo = |free_bytes| Meminfo { free_bytes, ..Meminfo::default() };
    let machine = |name: &str, free_bytes| Reading::MachineMeminfo {
        machine: name.to_owned(),
        meminfo: meminfo(free_bytes),
    };
    let sum = |free_bytes| Reading::Meminfo(meminfo(free_bytes));
    let lines = |readings: &[Reading]| -> Vec<Option<usize>> {
        let sample = |(at, reading): (usize, &Reading)| {
            let phase = wamr_record::cell::PhaseName::Before;
            (at + 1, Sample { taken_ns: 0, phase, pods_running: 0, reading: reading.clone() })
        };
        let samples: Vec<_> = readings.iter().enumerate().map(sample).collect();
        wrong_sums("x", &samples).map(|defect| defect.line).collect()
    };
    assert!(lines(&[sum(5)]).is_empty(), "one machine");
    assert!(lines(&[machine("a", 2), machine("b", 3), sum(5), sum(9)]).is_empty());
    assert_eq!(lines(&[machine("a", 2), machine("b", 3), sum(6)]), [Some(3)]);
    assert_eq!(lines(&[machine("a", 2), sum(2), machine("a", 2), sum(3)]), [Some(4)]);
}
