//! `wamr-lab run --dry-run`: the cells in their order, time and memory.

use crate::experiment::{Experiment, Timing};
use crate::matrix::PlannedCell;
use crate::run_dir::session::chosen;
use crate::sweep::{cell_name, planned_cells};

/// Prints what a run would do.
pub fn print(experiment: &Experiment, only: &[String]) {
    let mut cells = planned_cells(experiment);
    let all = cells.len();
    cells.retain(|cell| chosen(only, &cell_name(experiment, cell)));
    match cells.len() {
        count if count == all => anstream::println!("{}: {all} cells", experiment.title),
        count => anstream::println!("{}: {count} of {all} cells", experiment.title),
    }
    for cell in &cells {
        let series = &experiment.series[cell.series];
        anstream::println!(
            "  {:>3}  block {}  {:>3} pods  {} {}",
            cell.order + 1,
            cell.repetition,
            cell.pods,
            series.runtime,
            series.workload
        );
    }
    let minutes = least_s(&experiment.timing, &cells).div_ceil(60);
    let most_pods = cells.iter().map(|cell| cell.pods).max().unwrap_or(0);
    let gibibytes = 1.5 + f64::from(most_pods) * 0.02;
    anstream::println!(
        "at least {} h {:02} min, about {gibibytes:.1} GiB of memory",
        minutes / 60,
        minutes % 60
    );
}

/// Seconds that the cells take on a machine where memory is level at once.
pub fn least_s(timing: &Timing, cells: &[PlannedCell]) -> u32 {
    let windows_s = 2 * timing.settle_window_s;
    let metrics_s = timing.metrics_resolution_s * (timing.metrics_scrapes + 1);
    let plateau_s = windows_s.max(timing.plateau_samples).max(metrics_s);
    // A pod takes about a quarter of a second to come, and as much to go.
    let seconds_of = |cell: &PlannedCell| windows_s + plateau_s + 10 + cell.pods / 2;
    30 + windows_s + cells.iter().map(seconds_of).sum::<u32>()
}
