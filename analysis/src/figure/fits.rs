//! Memory over the number of pods, a small plot per system on one scale, with the fitted line.

use super::axis::Axis;
use super::bars::caption;
use super::canvas::{Anchor, Canvas, SIZE, SMALL, fit};
use super::forms::{Figure, Room, finish};
use super::ink::Ink;
use crate::cell_figures::State;
use crate::format::{MB, fixed, mb};
use crate::study::Study;

const HEIGHT: f64 = 120.0;
const GAP: f64 = 22.0;

/// A system's plot.
struct Plot {
    title: String,
    ours: bool,
    /// Pods, bytes of all pods together.
    points: Vec<(f64, f64)>,
    /// Bytes per pod, fixed bytes.
    line: (f64, f64),
}

/// The figure; `None` without a system at several densities.
pub fn figure(study: &Study) -> Option<Figure> {
    let plots: Vec<Plot> = study
        .slopes
        .iter()
        .map(|slope| {
            let system = &study.systems[slope.system];
            let cells = study.cells.iter();
            let cells = cells.filter(|cell| cell.is_of(system) && cell.state == State::Valid);
            Plot {
                title: system.title.clone(),
                ours: system.ours,
                points: cells
                    .filter_map(|cell| Some((f64::from(cell.pods), cell.total_free_bytes?)))
                    .collect(),
                line: (slope.free_bytes_per_pod, slope.free_fixed_bytes),
            }
        })
        .collect();
    if plots.is_empty() {
        return None;
    }
    let words = "Each dot is a cell: memory of all its pods by free. The line is the Theil–Sen \
                 fit; its slope, printed on it, is the cost of one more pod. All plots have one \
                 scale.";
    let title = "Memory over the number of pods";
    Some(finish("memory-over-pods", title, words, |room| draw(&plots, room)))
}

fn draw(plots: &[Plot], room: Room) -> (Canvas, f64) {
    let mut canvas = Canvas::default();
    let columns = if room == Room::Wide { 3 } else { 1 };
    let left = 44.0;
    let width = (room.width() - left - 12.0) / columns as f64 - GAP;
    let all = || plots.iter().flat_map(|plot| &plot.points);
    let most = all().map(|point| point.0).fold(1.0, f64::max);
    let high = all().map(|point| point.1 / MB).fold(0.0, f64::max);
    let mut bottom = 0.0;
    for (index, plot) in plots.iter().enumerate() {
        let x = left + (index % columns) as f64 * (width + GAP);
        let top = (index / columns) as f64 * (HEIGHT + 62.0) + 22.0;
        bottom = top + HEIGHT;
        let axes = (
            Axis::new((0.0, most * 1.04), (x, x + width), 4),
            Axis::new((0.0, high * 1.06), (bottom, top), 3),
        );
        draw_plot(&mut canvas, plot, &axes, index % columns == 0);
    }
    let words =
        "across: pods; upright: MB that all pods together take from free (1 MB = 10⁶ bytes)";
    let end = caption(&mut canvas, words, room, bottom + 26.0);
    (canvas, end)
}

fn draw_plot(canvas: &mut Canvas, plot: &Plot, (across, upright): &(Axis, Axis), first: bool) {
    let label = fit(&plot.title, SIZE, across.to - across.from);
    let draw = if plot.ours { Canvas::bold } else { Canvas::text };
    draw(canvas, (across.from, upright.to - 12.0), &label, SIZE, Ink::Text, Anchor::Start);
    for tick in upright.ticks() {
        let y = upright.place(tick);
        canvas.line(vec![(across.from, y), (across.to, y)], Ink::Grid, 1.0);
        if first {
            let words = fixed(tick, upright.decimals());
            canvas.text((across.from - 5.0, y), &words, SMALL, Ink::Muted, Anchor::End);
        }
    }
    canvas.line(vec![(across.from, upright.from), (across.to, upright.from)], Ink::Axis, 1.2);
    for tick in across.ticks() {
        let at = (across.place(tick), upright.from + 12.0);
        canvas.text(at, &fixed(tick, across.decimals()), SMALL, Ink::Muted, Anchor::Middle);
    }
    let (slope, fixed_bytes) = plot.line;
    let most = plot.points.iter().map(|point| point.0).fold(0.0, f64::max);
    let at = |pods: f64, bytes: f64| (across.place(pods), upright.place((bytes / MB).max(0.0)));
    let ends = vec![at(0.0, fixed_bytes), at(most, fixed_bytes + slope * most)];
    canvas.line(ends, Ink::Blue, 1.8);
    for &(pods, bytes) in &plot.points {
        canvas.dot(at(pods, bytes), 3.4, Ink::Card);
        canvas.dot(at(pods, bytes), 2.4, Ink::Text);
    }
    let words = format!("{} MB per pod", mb(slope));
    canvas.text((across.from + 5.0, upright.to + 6.0), &words, SMALL, Ink::Muted, Anchor::Start);
}
