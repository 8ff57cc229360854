//! Which figures a report has and what they show.

use super::bars::{Bar, BarChart, BarRow, Panel};
use super::forms::{Figure, NO_VALUE, finish, marks};
use super::ink::Ink;
use super::stack::{Scale, StackRow};
use super::{lines, stack};
use crate::attribution;
use crate::error::Error;
use crate::format::MB;
use crate::group::Group;
use crate::measure::Measure;
use crate::report::memory_tables::part_title;
use crate::study::{Study, by_density};

/// Slug of the figure that belongs to "where the memory goes".
pub const PARTS: &str = "attribution";

/// Memory in a stack.
const MEMORY: Scale =
    Scale { unit: MB, decimals: 2, suffix: "MB", caption: "MB per pod (1 MB = 10⁶ bytes)" };

/// Parts of a pod's memory with their inks.
const PART_INKS: [(Measure, Ink); 8] = [
    (Measure::PartContainerPrivate, Ink::Vermilion),
    (Measure::PartContainerShared, Ink::Dots),
    (Measure::PartPause, Ink::Yellow),
    (Measure::PartShim, Ink::BlueHatch),
    (Measure::PartDaemons, Ink::Green),
    (Measure::PartPageCache, Ink::Orange),
    (Measure::PartKernel, Ink::Purple),
    (Measure::PartRest, Ink::Grey),
];

/// Draws all figures for which there is anything to show.
///
/// # Errors
/// The built-in catalogue of claims cannot be read.
pub fn figures(study: &Study) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    if study.valid_cells() > 0 {
        figures.push(memory_free(study));
        figures.push(memory_metrics(study));
        if !study.environment.emulated {
            figures.push(start(study));
        }
        figures.push(parts(study));
        figures.extend(super::paper::figures(study)?);
        figures.extend(super::fits::figure(study));
        if !study.environment.emulated {
            figures.extend(super::spans::distribution(study));
            figures.extend(super::spans::stages(study));
        }
    }
    if !study.timeline.is_empty() {
        figures.push(timeline(study));
    }
    Ok(figures)
}

fn panels(study: &Study, measures: &[(Measure, Ink)]) -> Vec<Panel> {
    let row = |group: &&Group| {
        let system = &study.systems[group.key.system];
        let bar = |&(measure, ink): &(Measure, Ink)| {
            let summary = group.values.get(&measure);
            let repetitions = summary.iter().flat_map(|summary| &summary.repetitions);
            Bar {
                ink,
                value: summary.map(|summary| summary.median),
                ends: summary.and_then(|summary| summary.spread.ends()),
                points: repetitions.map(|repetition| repetition.1).collect(),
            }
        };
        let bars = measures.iter().map(bar).collect();
        BarRow { label: system.title.clone(), ours: system.ours, bars, lack: NO_VALUE }
    };
    by_density(&study.groups)
        .into_iter()
        .map(|(pods, groups)| Panel {
            heading: format!("{pods} pods"),
            rows: groups.iter().map(row).collect(),
        })
        .collect()
}

fn memory_chart(study: &Study, legend: [(Ink, &'static str); 2], of: [Measure; 2]) -> BarChart {
    BarChart {
        axis_title: "MB per pod (1 MB = 10⁶ bytes); shorter is better".to_owned(),
        unit: MB,
        decimals: 2,
        suffix: "MB",
        one_scale: true,
        panels: panels(study, &[(of[0], legend[0].0), (of[1], legend[1].0)]),
        legend: legend.map(|(ink, words)| (ink, words.to_owned())).to_vec(),
    }
}

fn pods_words(study: &Study) -> String {
    match study.densities().as_slice() {
        [only] => format!(", {only} pods"),
        _ => String::new(),
    }
}

fn memory_free(study: &Study) -> Figure {
    let legend = [
        (Ink::Blue, "free (MemFree, the paper's figure)"),
        (Ink::Orange, "available (MemAvailable, bracket)"),
    ];
    let chart = memory_chart(study, legend, [Measure::FreePaper, Measure::AvailableBracket]);
    let title = format!("Memory per pod by free{}", pods_words(study));
    let words = "What a pod takes from the node's free memory, and beside it from the memory that \
                 a new program could get.";
    finish("memory-free", &title, &format!("{words}{}", marks(study)), |room| chart.draw(room))
}

fn memory_metrics(study: &Study) -> Figure {
    let legend = [
        (Ink::Blue, "node: growth of its working set per pod"),
        (Ink::Orange, "pod: its containers' working set"),
    ];
    let chart = memory_chart(study, legend, [Measure::NodeMetrics, Measure::PodMetrics]);
    let title = format!("Memory per pod by metrics-server{}", pods_words(study));
    let words = "The node's figure holds everything that grows with a pod; the pod's own figure \
                 lacks the sandbox, the shim and the daemons.";
    finish("memory-metrics", &title, &format!("{words}{}", marks(study)), |room| chart.draw(room))
}

fn start(study: &Study) -> Figure {
    let measures = [(Measure::StartLast, Ink::Blue), (Measure::StartP50, Ink::Orange)];
    let chart = BarChart {
        axis_title: "milliseconds after the call that creates the pods; shorter is better"
            .to_owned(),
        unit: 1e6,
        decimals: 0,
        suffix: "ms",
        one_scale: false,
        legend: vec![
            (Ink::Blue, "all pods run".to_owned()),
            (Ink::Orange, "half of the pods run".to_owned()),
        ],
        panels: panels(study, &measures),
    };
    let title = format!("Time to start all pods{}", pods_words(study));
    let words = "From the one call that creates all pods to the first instruction of their \
                 workloads.";
    finish("start", &title, &format!("{words}{}", marks(study)), |room| chart.draw(room))
}

fn parts(study: &Study) -> Figure {
    let several = study.densities().len() > 1;
    let rows: Vec<StackRow> = study
        .groups
        .iter()
        .map(|group| {
            let system = &study.systems[group.key.system];
            let label = if several {
                format!("{}, {} pods", system.title, group.key.pods)
            } else {
                system.title.clone()
            };
            let part = |&(measure, ink): &(Measure, Ink)| {
                Some((ink, part_title(measure), group.median(measure)?))
            };
            StackRow {
                label,
                ours: system.ours,
                total: group.median(Measure::PartsTaken),
                parts: if group.median(attribution::PARTS[0]).is_some() {
                    PART_INKS.iter().filter_map(part).collect()
                } else {
                    Vec::new()
                },
            }
        })
        .collect();
    let legend = PART_INKS.map(|(measure, ink)| (ink, part_title(measure)));
    let title = format!("Where the memory of a pod is{}", pods_words(study));
    let words = "Processes by their proportional set size, then what /proc/meminfo says of page \
                 cache and of the kernel; the rest has no explanation. Together they are what \
                 free lost between the two walks over all processes.";
    finish(PARTS, &title, words, |room| stack::draw(&rows, &legend, MEMORY, room))
}

fn timeline(study: &Study) -> Figure {
    let words = "Both lines begin at zero: what counts is how far they rise. The numbers are those \
                 of the table of cells; shaded stretches are plateaus.";
    let title = "The node's memory over the whole run";
    finish("timeline", title, words, |room| lines::draw(&study.timeline, room))
}
