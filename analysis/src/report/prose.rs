//! The words of a report that are not numbers: notices, method, glossary.

use crate::attribution::is_open;
use crate::cell_figures::State;
use crate::format::{count, duration, fixed, join, utc};
use crate::measure::Measure;
use crate::report::run_tables::counts;
use crate::study::Study;

/// What a reader must know before any number.
pub fn notices(study: &Study) -> Vec<String> {
    let mut notices = Vec::new();
    if study.valid_cells() == 0 {
        notices.push(
            "No cell is valid. Tables and figures below are empty on purpose; the reasons stand \
             under “Validity of every cell”."
                .to_owned(),
        );
    }
    if study.environment.emulated {
        notices.push(
            "The processor was emulated. Memory counts; times do not, and stand only in the table \
             of the start-up stages."
                .to_owned(),
        );
    }
    if !study.defects.is_empty() {
        notices.push(format!(
            "The run directory has {} defects, listed at the end. The report was asked for \
             nevertheless; its figures prove nothing until they are explained.",
            study.defects.len()
        ));
    }
    notices.extend(story(study));
    if study.valid_cells() < study.cells.len() + study.missing.len() {
        notices.push(format!("{}. What is not valid is not used.", counts(study)));
    }
    notices.extend(doubts(study));
    let repetitions = study.groups.iter().map(|group| group.valid);
    match repetitions.clone().filter(|&valid| valid > 0).min() {
        Some(1) if repetitions.max() == Some(1) => {
            notices.push("One repetition: no interval can be given.".to_owned());
        }
        Some(1) => notices.push(
            "Some systems have one valid repetition: for them no interval can be given.".to_owned(),
        ),
        Some(2) => notices
            .push("With two repetitions the range of both is given, not an interval.".to_owned()),
        _ => {}
    }
    notices
}

/// What happened to the run besides measuring.
fn story(study: &Study) -> Vec<String> {
    let run = &study.run;
    let mut story = Vec::new();
    if !run.resumed_ns.is_empty() {
        let moments: Vec<String> = run.resumed_ns.iter().map(|&at_ns| utc(at_ns)).collect();
        story.push(format!(
            "The run was broken off and resumed at {}: cells before and after that are of two \
             starts of the same node.",
            moments.join(" and ")
        ));
    }
    if !run.only.is_empty() {
        story.push(format!(
            "Only cells with {} in their names were asked for (--only): {} of the plan {} left \
             out.",
            run.only.join(" or "),
            count(study.missing.len(), "cell", "cells"),
            if study.missing.len() == 1 { "is" } else { "are" },
        ));
    }
    story
}

/// Drift above this share of what the pods took is said before any figure.
const DRIFT_SHARE: f64 = 0.1;

/// What makes the figures of valid cells doubtful.
fn doubts(study: &Study) -> Vec<String> {
    let valid = || study.cells.iter().filter(|cell| cell.state == State::Valid);
    let drifted = valid().filter(|cell| {
        let pairs = [
            (Measure::FreeDrift, Measure::FreePaper),
            (Measure::AvailableDrift, Measure::AvailableBracket),
        ];
        pairs.iter().any(|(drift, taken)| {
            let values = cell.values.get(drift).zip(cell.values.get(taken));
            values.is_some_and(|(drift, taken)| drift.abs() > DRIFT_SHARE * taken.abs())
        })
    });
    let remarked = valid().filter(|cell| !cell.reasons.is_empty()).count();
    let (drifted, all) = (drifted.count(), count(valid().count(), "valid cell", "valid cells"));
    let mut doubts = Vec::new();
    if drifted > 0 {
        doubts.push(format!(
            "In {drifted} of {all} the node's memory did not come back to its level: it moved by \
             more than a tenth of what the pods took. The node's daemons kept some, or something \
             else used it: figures of the node's memory are rough, those of single processes not."
        ));
    }
    let open = valid().filter(|cell| is_open(&cell.values)).count();
    if open > 0 {
        doubts.push(format!(
            "In {open} of {all} more than 5 % of what the pods took is explained neither by a \
             process nor by a counter of the kernel: “Where the memory of a pod is” is incomplete \
             there."
        ));
    }
    if remarked > 0 {
        doubts.push(format!("{remarked} of {all} carry remarks, listed under “Validity”."));
    }
    doubts
}

/// Where the numbers come from, in one line.
pub fn provenance(study: &Study) -> String {
    let run = &study.run;
    let length = run.end_ns as f64 - run.begin_ns as f64;
    format!(
        "Run {}, begun {}, {} long, {}; {} files compared with their sha256.",
        run.name,
        utc(run.begin_ns),
        duration(length),
        counts(study),
        fixed(run.files_compared as f64, 0),
    )
}

/// The method in short.
pub fn method(study: &Study) -> Vec<String> {
    let mut method = of_every_run(study);
    if !study.run.heaps_collected.is_empty() {
        method.push(format!(
            "Before each level {} collect the garbage on their heaps: what daemons grow by is what \
             the pods need, without the garbage that making them has left.",
            join(&study.run.heaps_collected)
        ));
    }
    if study.systems.iter().any(|system| system.arrival.is_some()) {
        method.push(
            "Where pods arrive at a rate, the lab asks for each by itself, and its times count \
             from its own request; the time to start is then that of the slowest pod."
                .to_owned(),
        );
    }
    method
}

fn of_every_run(study: &Study) -> Vec<String> {
    let seed = format!(" (seed {})", study.run.order_seed);
    vec![
        format!(
            "A cell is one runtime with one workload and N pods, once. The cells of a repetition \
             run in a random order{seed} on one node, each on its own: the memory must be level, \
             then one call creates all pods, then the memory must be level again."
        ),
        "The level before the pods is B0, with all pods running it is P, after they are gone it is \
         B1; each is the median of its readings of /proc/meminfo."
            .to_owned(),
        "free is (P − B0) / N on MemTotal − MemFree: what the column of that name loses, the \
         paper's figure. available is (P − (B0 + B1) / 2) / N on MemTotal − MemAvailable: the page \
         cache that could be given back is not counted, and slow drift of the node cancels."
            .to_owned(),
        "To MemFree and MemAvailable the free pages in the processors' own lists (/proc/zoneinfo) \
         are added. The kernel leaves them out and moves up to some hundred MB between them and \
         MemFree; without them the first pods of a quiet node cost less than nothing."
            .to_owned(),
        "metrics-server's figure is the node's working set before and with the pods, each of its \
         stamps counted once. Its figure for a pod lacks the sandbox, the shim and the daemons."
            .to_owned(),
        "The time to start ends with the stamp that the last workload prints as its first act; it \
         begins just before the one call that creates all pods. Both are read from one clock."
            .to_owned(),
        format!(
            "A figure is the median over the repetitions. From three repetitions on, the interval \
             holds {} % of {} draws of a block bootstrap over the repetitions (seed {}); ratios \
             are drawn from the same repetitions on both sides. Two repetitions give a range, one \
             gives neither.",
            fixed(study.bootstrap.level * 100.0, 0),
            fixed(f64::from(study.bootstrap.draws), 0),
            study.bootstrap.seed
        ),
    ]
}

/// Words that a reader may not know.
pub const GLOSSARY: [(&str, &str); 19] = [
    ("MB, kB", "10⁶ bytes and 10³ bytes."),
    (
        "available",
        "MemAvailable of /proc/meminfo and the processors' lists: memory that a new program could \
         get.",
    ),
    ("bracket", "An estimate that compares with the mean of the levels before and after the pods."),
    ("cell", "One runtime with one workload at one number of pods, once."),
    (
        "daemons",
        "What runs on the node besides pods: containerd, kubelet, control plane and others.",
    ),
    ("density", "Number of pods on the node at once."),
    ("drift", "How far the node's memory is from its old level after the pods are gone."),
    (
        "free",
        "MemFree of /proc/meminfo and the processors' lists: memory that nobody uses, not even \
         as cache. The column free of free(1) leaves the lists out.",
    ),
    ("metrics-server", "The Kubernetes component behind `kubectl top`; it reports working sets."),
    ("pause", "The small process that holds a pod's namespaces."),
    ("plateau", "The stretch with all pods running and the memory level."),
    ("pod", "The unit that Kubernetes starts: here one container and its sandbox."),
    ("private", "Memory that only one process maps: what ending it gives back."),
    (
        "processors' lists",
        "Free pages that the kernel keeps for single processors, the pagesets of /proc/zoneinfo.",
    ),
    ("Pss", "Proportional set size: a page that n processes map counts as one n-th for each."),
    ("resident", "All memory that a process maps, shared pages counted in full."),
    ("shim", "containerd's process that stands between it and a container."),
    ("used", "MemTotal − MemFree − Buffers − Cached − SReclaimable."),
    ("working set", "Memory in use by a cgroup without its inactive file pages."),
];
