//! Writes a cell's directory, and cuts its time into phases.

use miette::Result;
use wamr_record::cell::{Cell, Phase, PhaseName, ProcessMemory};
use wamr_record::sample::{Meminfo, Reading, Sample};

use super::level::Baseline;
use super::life::Life;
use crate::run_dir::writer::RunWriter;

/// Writes all files of the cell.
///
/// # Errors
/// The system refuses; the text names the file.
pub fn write(
    run: &RunWriter,
    cell: &Cell,
    before: &Baseline,
    life: &Life,
    attribution: &[ProcessMemory],
    after: &Baseline,
) -> Result<()> {
    let name = |file: &str| format!("cells/{}/{file}", cell.id);
    run.append(&name("samples.ndjson"), &samples(before, life, after))?;
    let settling = [
        in_phase(&before.waited.unlevel, PhaseName::Before),
        in_phase(&after.waited.unlevel, PhaseName::After),
    ];
    run.append(&name("settling.ndjson"), &settling.concat())?;
    run.append(&name("pods.ndjson"), &life.ramp.pods)?;
    run.append(&name("attribution.ndjson"), attribution)?;
    if let Some(evidence) = life.alive.as_ref().and_then(|alive| alive.evidence.as_ref()) {
        run.write_json(&name("evidence.json"), evidence)?;
    }
    run.write_json(&name("cell.json"), cell)
}

/// A stretch of time under its name.
pub fn phase(name: PhaseName, (begin_ns, end_ns): (i64, i64)) -> Phase {
    Phase { name, begin_ns, end_ns }
}

/// The phases that took place, in order.
pub fn phases(before: &Baseline, life: &Life, delete: Phase, after: &Baseline) -> Vec<Phase> {
    let mut phases = vec![phase(PhaseName::Before, before.waited.level_span_ns())];
    phases.push(phase(PhaseName::Ramp, (life.ramp.requested_ns, ramp_end_ns(life))));
    if let Some(alive) = &life.alive {
        let plateau = &alive.plateau.samples;
        let end_ns = delete.begin_ns;
        let plateau_begin_ns = plateau.first().map_or(end_ns, |sample| sample.taken_ns);
        let plateau_end_ns = plateau.last().map_or(end_ns, |sample| sample.taken_ns);
        phases.push(phase(PhaseName::Settle, (ramp_end_ns(life), plateau_begin_ns)));
        phases.push(phase(PhaseName::Plateau, (plateau_begin_ns, plateau_end_ns)));
    }
    phases.push(delete);
    phases.push(phase(PhaseName::After, after.waited.level_span_ns()));
    phases
}

/// The last start stamp; for pods that did not all start, when the lab gave up.
fn ramp_end_ns(life: &Life) -> i64 {
    let last_start_ns = life.alive.as_ref().and(life.ramp.last_start_ns());
    last_start_ns.unwrap_or(life.ramp.seen_end_ns)
}

/// All samples in the order of time. The lab sees the ramp's end a little after the last stamp:
/// what was read in between belongs to Settle.
fn samples(before: &Baseline, life: &Life, after: &Baseline) -> Vec<Sample> {
    let mut samples = in_phase(&before.waited.level, PhaseName::Before);
    samples.extend(in_phase(&before.node_metrics, PhaseName::Before));
    samples.push(life.walk_before.clone());
    let ramp_end_ns = ramp_end_ns(life);
    for sample in &life.ramp.samples {
        let late = sample.taken_ns > ramp_end_ns;
        let phase = if late { PhaseName::Settle } else { PhaseName::Ramp };
        samples.push(Sample { phase, ..sample.clone() });
    }
    if let Some(alive) = &life.alive {
        samples.extend(alive.settle.unlevel.iter().cloned());
        samples.extend(alive.plateau.samples.iter().cloned());
    }
    samples.extend(in_phase(&after.waited.level, PhaseName::After));
    samples.extend(in_phase(&after.node_metrics, PhaseName::After));
    samples
}

fn in_phase(samples: &[Sample], phase: PhaseName) -> Vec<Sample> {
    samples.iter().map(|sample| Sample { phase, ..sample.clone() }).collect()
}

/// Median of a field over the readings of `/proc/meminfo`; 0 without any.
pub fn meminfo_median(samples: &[Sample], field: impl Fn(&Meminfo) -> u64) -> i64 {
    let value = |sample: &Sample| match &sample.reading {
        Reading::Meminfo(meminfo) => Some(field(meminfo) as f64),
        _ => None,
    };
    median(samples.iter().filter_map(value)).map_or(0, |bytes| bytes as i64)
}

/// Median of what is charged to the node's control group, page cache aside; `None` without any
/// reading of it.
pub fn node_median(samples: &[Sample]) -> Option<i64> {
    let kept = samples.iter().filter_map(|sample| sample.reading.node_cgroup_kept_bytes());
    median(kept.map(|bytes| bytes as f64)).map(|bytes| bytes as i64)
}

/// Memory of programs outside of the node, the lab aside: anonymous and shared memory of the
/// machine, less that of the node's control group, medians; `None` without any reading of it.
///
/// Whatever a machine does besides has memory of these kinds. MemAvailable would not do: it also
/// has slab that no control group is charged for, a quarter of a small pod.
pub fn foreign_median(samples: &[Sample]) -> Option<i64> {
    let of_node = samples.iter().filter_map(|sample| match sample.reading {
        Reading::NodeCgroup { anon_bytes, shmem_bytes, .. } => Some(anon_bytes + shmem_bytes),
        _ => None,
    });
    let node_bytes = median(of_node.map(|bytes| bytes as f64))? as i64;
    let programs = |meminfo: &Meminfo| {
        (meminfo.anon_bytes + meminfo.shmem_bytes).saturating_sub(meminfo.lab_bytes)
    };
    Some(meminfo_median(samples, programs) - node_bytes)
}

/// Median of `values`; `None` without any.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::level::Waited;
    use super::super::life::Alive;
    use super::super::plateau::Plateau;
    use super::super::ramp::Ramp;
    use super::*;

    fn reading(taken_ns: i64, phase: PhaseName) -> Sample {
        let meminfo = Meminfo { available_bytes: taken_ns as u64, ..Meminfo::default() };
        Sample { taken_ns, phase, pods_running: 0, reading: Reading::Meminfo(meminfo) }
    }

    fn baseline(unlevel_ns: i64, level_ns: &[i64]) -> Baseline {
        let read = |ns: &i64| reading(*ns, PhaseName::Before);
        let waited = Waited {
            unlevel: vec![read(&unlevel_ns)],
            level: level_ns.iter().map(read).collect(),
            settled: true,
        };
        Baseline { waited, node_metrics: vec![] }
    }

    /// Phases must follow each other, and each sample of a phase must lie in it.
    #[test]
    fn samples_lie_in_their_phases() {
        let (before, after) = (baseline(1, &[10, 20]), baseline(110, &[120, 130]));
        let mut pod = pod();
        pod.first_instruction_ns = Some(45);
        let ramp = Ramp {
            requested_ns: 30,
            seen_end_ns: 48,
            pods: vec![pod],
            samples: vec![reading(31, PhaseName::Ramp), reading(46, PhaseName::Ramp)],
            failures: vec![],
            sandbox_only: false,
        };
        let settle =
            Waited { unlevel: vec![reading(50, PhaseName::Settle)], level: vec![], settled: true };
        let plateau = Plateau {
            samples: vec![reading(60, PhaseName::Plateau), reading(70, PhaseName::Plateau)],
            pods_running_min: 1,
            scrapes: 0,
        };
        let alive = Alive { settle, plateau, evidence: None, attribution: vec![] };
        let walk_before = reading(20, PhaseName::Before);
        let life = Life { walk_before, ramp, alive: Some(alive), failures: vec![] };
        let delete = phase(PhaseName::Delete, (80, 100));
        let phases = phases(&before, &life, delete, &after);
        assert!(phases.is_sorted_by_key(|phase| (phase.begin_ns, phase.end_ns)));
        assert!(phases.windows(2).all(|pair| pair[0].end_ns <= pair[1].begin_ns));
        let samples = samples(&before, &life, &after);
        assert_eq!(samples.len(), 10);
        for sample in samples {
            let phase = phases.iter().find(|phase| phase.name == sample.phase).unwrap();
            let span = phase.begin_ns..=phase.end_ns;
            assert!(span.contains(&sample.taken_ns), "{sample:?} in {phase:?}");
        }
    }

    fn pod() -> wamr_record::cell::Pod {
        wamr_record::cell::Pod {
            name: "p".into(),
            uid: "u".into(),
            container_id: None,
            pid: None,
            cgroup: None,
            node: None,
            requested_ns: 30,
            scheduled_ns: None,
            sandbox_ns: None,
            created_ns: None,
            started_ns: None,
            running_ns: None,
            first_instruction_ns: None,
            log_ns: None,
            duration_ns: None,
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }
}
