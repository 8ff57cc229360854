//! The paper's Figures 3 to 10 with this run's numbers: the same systems, measures and order.
//!
//! This project's own runtime is added to each. A system that the run lacks is printed as absent.

use std::collections::BTreeSet;

use super::bars::{Bar, BarChart, BarRow, Panel};
use super::forms::{Figure, NO_VALUE, finish, marks};
use super::ink::Ink;
use crate::claims::Catalogue;
use crate::error::Error;
use crate::format::MB;
use crate::measure::{Measure, Unit};
use crate::study::Study;

/// What a figure of the paper shows.
struct Template {
    slug: &'static str,
    title: &'static str,
    measure: Measure,
    systems: &'static [&'static str],
    /// Only this density: the start figures have one each.
    pods: Option<u32>,
    /// One bar per system, the mean over the densities.
    averaged: bool,
}

/// What is not the paper's, and on top.
const OURS: [&str; 2] = ["wamr-shim", "wamr-crun"];
const IN_CRUN: &[&str] =
    &["wamr-shim", "wamr-crun", "crun-wamr", "crun-wasmtime", "crun-wasmer", "crun-wasmedge"];
const SHIMS: &[&str] =
    &["wamr-shim", "wamr-crun", "crun-wamr", "shim-wasmtime", "shim-wasmer", "shim-wasmedge"];
const PYTHON: &[&str] = &["wamr-shim", "wamr-crun", "crun-wamr", "crun-python", "runc-python"];
const ALL: &[&str] = &[
    "wamr-shim",
    "wamr-crun",
    "crun-wamr",
    "crun-wasmtime",
    "crun-wasmer",
    "crun-wasmedge",
    "shim-wasmtime",
    "shim-wasmer",
    "shim-wasmedge",
    "crun-python",
    "runc-python",
];

const TEMPLATES: [Template; 9] = [
    memory("paper-03", "Wasm runtimes in crun, by metrics-server", Measure::NodeMetrics, IN_CRUN),
    memory("paper-04", "Wasm runtimes in crun, by free", Measure::FreePaper, IN_CRUN),
    memory("paper-05", "runwasi shims, by free", Measure::FreePaper, SHIMS),
    memory("paper-06", "Python containers, by metrics-server", Measure::NodeMetrics, PYTHON),
    memory("paper-07", "Python containers, by free", Measure::FreePaper, PYTHON),
    start("paper-08", "Time to start 10 containers", 10),
    start("paper-09", "Time to start 400 containers", 400),
    average("paper-10-free", "All systems, mean of the densities, by free", Measure::FreePaper),
    average(
        "paper-10-metrics",
        "All systems, mean of the densities, by metrics-server",
        Measure::NodeMetrics,
    ),
];

const fn memory(
    slug: &'static str,
    title: &'static str,
    measure: Measure,
    systems: &'static [&'static str],
) -> Template {
    Template { slug, title, measure, systems, pods: None, averaged: false }
}

const fn start(slug: &'static str, title: &'static str, pods: u32) -> Template {
    let (measure, pods) = (Measure::StartLast, Some(pods));
    Template { slug, title, measure, systems: ALL, pods, averaged: false }
}

const fn average(slug: &'static str, title: &'static str, measure: Measure) -> Template {
    Template { slug, title, measure, systems: ALL, pods: None, averaged: true }
}

/// Fillings of the densities, ascending.
const DENSITY_INKS: [Ink; 6] =
    [Ink::Blue, Ink::Orange, Ink::Green, Ink::Vermilion, Ink::Grey, Ink::Yellow];

/// Draws those of the figures for which the run has at least one number.
///
/// # Errors
/// The built-in catalogue of claims cannot be read.
pub fn figures(study: &Study) -> Result<Vec<Figure>, Error> {
    let catalogue = Catalogue::built_in()?;
    let mut figures = Vec::new();
    for template in &TEMPLATES {
        let is_time = template.measure.unit() == Unit::Nanoseconds;
        if is_time && study.environment.emulated {
            continue;
        }
        let chart = chart(study, &catalogue, template);
        let mut bars = chart.panels.iter().flat_map(|panel| &panel.rows).flat_map(|row| &row.bars);
        if bars.all(|bar| bar.value.is_none()) {
            continue;
        }
        let number = template.slug.trim_start_matches("paper-").trim_start_matches('0');
        let number = number.split('-').next().unwrap_or(number);
        let title = format!("As Figure {number}: {}", template.title);
        let words = format!(
            "The paper's systems in its order, and on top wamr-crun with its own shim and with \
             containerd's; what this run lacks is printed as absent.{}",
            if template.averaged {
                " Each bar is the mean over the densities."
            } else {
                marks(study)
            }
        );
        figures.push(finish(template.slug, &title, &words, |room| chart.draw(room)));
    }
    Ok(figures)
}

fn chart(study: &Study, catalogue: &Catalogue, template: &Template) -> BarChart {
    let time = template.measure.unit() == Unit::Nanoseconds;
    let densities: Vec<u32> = match template.pods {
        Some(pods) => vec![pods],
        None => of_run(study, catalogue, template).into_iter().collect(),
    };
    let legend: Vec<(Ink, String)> = densities
        .iter()
        .zip(DENSITY_INKS.iter().cycle())
        .map(|(pods, &ink)| (ink, format!("{pods} pods")))
        .collect();
    let rows = template
        .systems
        .iter()
        .map(|name| row(study, catalogue, template, (name, &densities)))
        .collect();
    BarChart {
        axis_title: if time {
            "seconds from the call that creates the pods to the last one's first instruction"
        } else {
            "MB per container (1 MB = 10⁶ bytes); shorter is better"
        }
        .to_owned(),
        unit: if time { 1e9 } else { MB },
        decimals: 2,
        suffix: if time { "s" } else { "MB" },
        legend: if template.averaged || time { Vec::new() } else { legend },
        one_scale: true,
        panels: vec![Panel { heading: String::new(), rows }],
    }
}

/// Densities at which at least one system of the figure has a value.
fn of_run(study: &Study, catalogue: &Catalogue, template: &Template) -> BTreeSet<u32> {
    let systems: Vec<usize> =
        template.systems.iter().filter_map(|name| catalogue.find(study, name)).collect();
    let groups = study.groups.iter().filter(|group| {
        systems.contains(&group.key.system) && group.values.contains_key(&template.measure)
    });
    groups.map(|group| group.key.pods).collect()
}

fn row(
    study: &Study,
    catalogue: &Catalogue,
    template: &Template,
    (name, densities): (&str, &[u32]),
) -> BarRow {
    let title = catalogue.systems.get(name).map_or(name, |named| &named.title);
    let system = catalogue.find(study, name);
    let summary = |pods: u32| {
        let group = study
            .groups
            .iter()
            .find(|group| Some(group.key.system) == system && group.key.pods == pods)?;
        group.values.get(&template.measure)
    };
    let mut bars: Vec<Bar> = densities
        .iter()
        .zip(DENSITY_INKS.iter().cycle())
        .map(|(&pods, &ink)| {
            let summary = summary(pods);
            let repetitions = summary.iter().flat_map(|summary| &summary.repetitions);
            Bar {
                ink,
                value: summary.map(|summary| summary.median),
                ends: summary.and_then(|summary| summary.spread.ends()),
                points: repetitions.map(|repetition| repetition.1).collect(),
            }
        })
        .collect();
    if template.averaged {
        // A mean over fewer densities than the others' would be no mean to compare.
        let values: Option<Vec<f64>> = bars.iter().map(|bar| bar.value).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let value = values.filter(|values| !values.is_empty()).map(mean);
        bars = vec![Bar { ink: family(name), value, ends: None, points: Vec::new() }];
    } else if template.pods.is_some() {
        for bar in &mut bars {
            bar.ink = family(name);
        }
    }
    let lack = if system.is_none() { "absent from this run" } else { NO_VALUE };
    if system.is_none() {
        bars.truncate(1);
    }
    BarRow { label: title.to_owned(), ours: OURS.contains(&name), bars, lack }
}

/// The paper's system, ours, Python and the others are told apart.
fn family(name: &str) -> Ink {
    match name {
        name if OURS.contains(&name) => Ink::Vermilion,
        "crun-wamr" => Ink::Orange,
        "crun-python" | "runc-python" => Ink::Grey,
        _ => Ink::Blue,
    }
}
