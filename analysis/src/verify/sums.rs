//! Figures of one line that cannot all be true: a part larger than its whole, a time outside of
//! its phase.

use wamr_record::cell::{Cell, Phase, ProcessMemory, Role};
use wamr_record::sample::{Meminfo, Reading, Sample};

use super::Defect;

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
    found.truncate(MAX_PER_FILE);
    defects.extend(found);
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
