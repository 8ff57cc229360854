//! A cell that claims to be valid must hold what its protocol promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wamr_record::cell::{Cell, Evidence, NO_CONTAINER, PhaseName, Pod, ProcessMemory};
use wamr_record::experiment::Experiment;
use wamr_record::sample::{Reading, Sample};

use super::defect::Defect;
use super::files::Survey;
use super::lines::{json, ndjson};
use super::sums;

/// Checks all cells; returns how many could be read.
pub fn check(
    dir: &Path,
    survey: &Survey,
    experiment: &Experiment,
    defects: &mut Vec<Defect>,
) -> usize {
    let mut orders: BTreeMap<u32, String> = BTreeMap::new();
    let mut read = 0;
    for name in &survey.cells {
        let path = format!("cells/{name}/cell.json");
        if !survey.has(&path) {
            defects.push(Defect::file(&path, "missing"));
            continue;
        }
        let cell: Cell = match json(dir, &path) {
            Ok(cell) => cell,
            Err(defect) => {
                defects.push(defect);
                continue;
            }
        };
        read += 1;
        if let Some(other) = orders.insert(cell.order, name.clone()) {
            let text = format!("order {} is also that of {other}", cell.order);
            defects.push(Defect::file(&path, text));
        }
        if cell.id != *name {
            let text = format!("the id {} is not the directory's name", cell.id);
            defects.push(Defect::file(&path, text));
        }
        check_phases(&path, &cell, defects);
        check_lines(dir, survey, experiment, &cell, name, defects);
    }
    read
}

fn check_phases(path: &str, cell: &Cell, defects: &mut Vec<Defect>) {
    let mut end_ns = i64::MIN;
    let mut last = None;
    for phase in &cell.phases {
        if phase.end_ns < phase.begin_ns {
            defects.push(Defect::file(path, format!("{:?} ends before it begins", phase.name)));
        }
        if phase.begin_ns < end_ns || last.is_some_and(|last| last >= phase.name) {
            defects
                .push(Defect::file(path, format!("{:?} overlaps or is out of order", phase.name)));
        }
        end_ns = phase.end_ns;
        last = Some(phase.name);
    }
    let missing = |name| cell.phases.iter().all(|phase| phase.name != name);
    if cell.verdict.is_valid() && (missing(PhaseName::Before) || missing(PhaseName::Plateau)) {
        defects.push(Defect::file(path, "valid, but without the phases `before` and `plateau`"));
    }
}

fn check_lines(
    dir: &Path,
    survey: &Survey,
    experiment: &Experiment,
    cell: &Cell,
    name: &str,
    defects: &mut Vec<Defect>,
) {
    let at = |file: &str| format!("cells/{name}/{file}");
    let samples = ndjson::<Sample>(dir, &at("samples.ndjson"), survey, defects);
    let pods = ndjson::<Pod>(dir, &at("pods.ndjson"), survey, defects);
    let processes = ndjson::<ProcessMemory>(dir, &at("attribution.ndjson"), survey, defects);
    sums::check_samples(&at("samples.ndjson"), &samples, cell, defects);
    sums::check_processes(&at("attribution.ndjson"), &processes, cell, defects);
    if survey.has(&at("settling.ndjson")) {
        let settling = ndjson::<Sample>(dir, &at("settling.ndjson"), survey, defects);
        sums::check_settling(&at("settling.ndjson"), &settling, defects);
    }
    let evidence = survey.has(&at("evidence.json")).then(|| json(dir, &at("evidence.json")));
    let evidence: Option<Evidence> = match evidence.transpose() {
        Ok(evidence) => evidence,
        Err(defect) => {
            defects.push(defect);
            return;
        }
    };
    if !cell.verdict.is_valid() {
        return;
    }
    check_samples(&at("samples.ndjson"), &samples, cell, experiment, defects);
    check_pods(&at("pods.ndjson"), &pods, cell, defects);
    match evidence {
        Some(evidence) => check_evidence(&at("evidence.json"), &evidence, cell, defects),
        None => defects.push(Defect::file(&at("evidence.json"), "missing, but the cell is valid")),
    }
}

fn check_samples(
    path: &str,
    samples: &[(usize, Sample)],
    cell: &Cell,
    experiment: &Experiment,
    defects: &mut Vec<Defect>,
) {
    let mut plateau = 0;
    let mut before = 0;
    for (line, sample) in samples {
        if !matches!(sample.reading, Reading::Meminfo(_)) {
            continue;
        }
        plateau += u32::from(sample.phase == PhaseName::Plateau);
        before += u32::from(sample.phase == PhaseName::Before);
        if sample.phase == PhaseName::Plateau && sample.pods_running != cell.pods {
            let text = format!(
                "{} of {} pods run at a sample of the plateau",
                sample.pods_running, cell.pods
            );
            defects.push(Defect::at(path, Some(*line), text));
        }
        if sample.phase == PhaseName::Before && sample.pods_running != 0 {
            let text = format!("{} pods run before the cell's pods exist", sample.pods_running);
            defects.push(Defect::at(path, Some(*line), text));
        }
    }
    let wanted = experiment.timing.plateau_samples.max(1);
    if plateau < wanted {
        let text = format!("{plateau} samples of /proc/meminfo on the plateau, promised {wanted}");
        defects.push(Defect::file(path, text));
    }
    if before == 0 {
        defects.push(Defect::file(path, "no sample of /proc/meminfo before the pods"));
    }
}

fn check_pods(path: &str, pods: &[(usize, Pod)], cell: &Cell, defects: &mut Vec<Defect>) {
    if pods.len() as u64 != u64::from(cell.pods) {
        let text = format!("{} pods, the cell has {}", pods.len(), cell.pods);
        defects.push(Defect::file(path, text));
    }
    let mut names = BTreeSet::new();
    for (line, pod) in pods {
        if !names.insert(&pod.name) {
            defects.push(Defect::at(path, Some(*line), format!("pod {} twice", pod.name)));
        }
        match pod.first_instruction_ns {
            None if cell.language == NO_CONTAINER => {}
            None => {
                defects.push(Defect::at(path, Some(*line), "valid cell, but no start stamp"));
            }
            Some(stamp) if stamp < pod.requested_ns => {
                defects.push(Defect::at(path, Some(*line), "started before it was asked for"));
            }
            Some(_) => {}
        }
    }
}

fn check_evidence(path: &str, evidence: &Evidence, cell: &Cell, defects: &mut Vec<Defect>) {
    let containers = &evidence.containers;
    let proven = containers.iter().filter(|container| container.engine_proven).count();
    let placed = containers.iter().filter(|container| container.cgroup_in_pod).count();
    for (count, what) in [
        (containers.len(), "described"),
        (proven, "proven to run the engine"),
        (placed, "in their pod's cgroup"),
    ] {
        if count as u64 != u64::from(cell.pods) {
            let text = format!("{count} of {} containers {what}, but the cell is valid", cell.pods);
            defects.push(Defect::file(path, text));
        }
    }
}
