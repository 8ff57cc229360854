//! `wamr-lab run --dry-run`: the cells in their order, time and memory.

use miette::Result;
use wamr_node::runtimes::RuntimeTable;
use wamr_record::experiment::{Experiment, Provider, Timing};

use crate::matrix::{PlannedCell, cell_name, planned_cells};
use crate::releases::Releases;
use crate::run_dir::session::chosen;
use crate::sweep::{Stretch, WARM_UP_PODS_MAX};

/// Prints what a run would do.
///
/// # Errors
/// As [`Releases::of_image`].
pub fn print(experiment: &Experiment, runtimes: &RuntimeTable, only: &[String]) -> Result<()> {
    let mut cells = planned_cells(experiment, runtimes, &Releases::of_image()?);
    let all = cells.len();
    cells.retain(|cell| chosen(only, &cell_name(experiment, cell)));
    match cells.len() {
        count if count == all => anstream::println!("{}: {all} cells", experiment.title),
        count => anstream::println!("{}: {count} of {all} cells", experiment.title),
    }
    for cell in &cells {
        let series = &experiment.series[cell.series];
        anstream::println!(
            "  {:>3}  block {}  {:>3} pods  {} {}{}{}",
            cell.order + 1,
            cell.repetition,
            cell.pods,
            series.runtime,
            series.workload,
            series.arrival.map_or_else(String::new, |rate| format!("  {rate}")),
            cell.containerd.map_or_else(String::new, |release| format!("  containerd {release}"))
        );
    }
    let minutes = expected_s(experiment, &cells).div_ceil(60);
    let most_pods = cells.iter().map(|cell| cell.pods).max().unwrap_or(0);
    let gibibytes = 1.5 + f64::from(most_pods) * 0.02;
    anstream::println!(
        "about {} h {:02} min on a calm machine of two processors, {gibibytes:.1} GiB of memory",
        minutes / 60,
        minutes % 60
    );
    if experiment.provider == Provider::Vm {
        anstream::println!("in an emulated machine several times as long");
    }
    Ok(())
}

/// What the processors of a small machine take for a pod to come, and again to go.
const POD_MS: u32 = 250;

/// Seconds that a run of `cells` takes. The figures besides the experiment's own are those of the
/// recorded demonstration: `data/demo/journal.ndjson`.
pub fn expected_s(experiment: &Experiment, cells: &[PlannedCell]) -> u32 {
    const NODE_S: u32 = 15;
    const WARM_UP_S: u32 = 3;
    let Timing { settle_window_s, plateau_samples, .. } = experiment.timing;
    // A quarter of the windows is not level at first.
    let settle_s = 2 * settle_window_s + settle_window_s / 2;
    let plateau_s = settle_s.max(plateau_samples).max(metrics_s(&experiment.timing));
    let of_pods = |pods: u32, ms: u32| (pods * ms).div_ceil(1000);
    let of_cell = |cell: &PlannedCell| {
        let arrival = experiment.series[cell.series].arrival;
        let arrival_s = arrival.map_or(0, |rate| rate.offset_ns(cell.pods) / 1_000_000_000) as u32;
        let (come_s, go_s) = (of_pods(cell.pods, POD_MS), 2 + of_pods(cell.pods, POD_MS));
        // All processes, control groups and figures of the kubelet are read once.
        let read_s = 2 + of_pods(cell.pods, 20);
        come_s.max(arrival_s) + plateau_s + read_s + go_s + settle_s
    };
    let most_pods = cells.iter().map(|cell| cell.pods).max().unwrap_or(0);
    let many = most_pods.min(WARM_UP_PODS_MAX);
    let batches_s = experiment.timing.warm_up_batches * (2 + of_pods(many, 2 * POD_MS));
    let warm_up_s = experiment.series.len() as u32 * WARM_UP_S;
    // Each release of containerd has a node of its own, which is warmed up for itself.
    let nodes = Stretch::all(cells).count() as u32;
    nodes * (NODE_S + batches_s + settle_s) + warm_up_s + cells.iter().map(of_cell).sum::<u32>()
}

/// A figure counts if its whole window lies after the last start, and a scrape is half of an
/// interval away on the average.
fn metrics_s(timing: &Timing) -> u32 {
    match timing.metrics_scrapes {
        0 => 0,
        scrapes => timing.metrics_resolution_s * (scrapes + 1) + timing.metrics_resolution_s / 2,
    }
}

/// The recorded demonstration took 248 s from its node to its end.
#[test]
fn the_demonstration_takes_as_long_as_it_took() {
    use wamr_node::runtimes::parse_table;
    let table = parse_table(crate::experiment::RUNTIMES).unwrap();
    let recorded = include_str!("../../../data/demo/experiment.toml");
    let demo = crate::experiment::parse("demo", recorded, &table).unwrap();
    let cells = planned_cells(&demo, &table, &Releases::of_image().unwrap());
    let expected_s = expected_s(&demo, &cells);
    assert!((210..290).contains(&expected_s), "{expected_s} s");
}
