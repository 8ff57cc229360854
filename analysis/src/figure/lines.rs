//! Memory over time: two lines, the cells as stripes, their phases as a band below.

use wamr_record::cell::PhaseName;

use super::axis::Axis;
use super::bars::{caption, legend};
use super::canvas::{Anchor, Canvas, SMALL, text_width};
use super::forms::Room;
use super::ink::Ink;
use crate::format::{MB, fixed, shorten};
use crate::timeline::{CellTrace, Point};

const PLOT_HEIGHT: f64 = 250.0;
const BAND: f64 = 10.0;

/// What the inks of the phases stand for.
const PHASES: [(Ink, &str); 4] = [
    (Ink::Axis, "before, after"),
    (Ink::OrangeLine, "pods start, memory settles"),
    (Ink::Plateau, "plateau"),
    (Ink::Vermilion, "delete"),
];

fn phase_ink(phase: PhaseName) -> Ink {
    match phase {
        PhaseName::Before | PhaseName::After => Ink::Axis,
        PhaseName::Ramp | PhaseName::Settle => Ink::OrangeLine,
        PhaseName::Plateau => Ink::Plateau,
        PhaseName::Delete => Ink::Vermilion,
    }
}

/// Draws the traces; returns the drawing with its height.
pub fn draw(traces: &[CellTrace], room: Room) -> (Canvas, f64) {
    let mut canvas = Canvas::default();
    let lines = [
        (Ink::Blue, "not available (MemTotal − MemAvailable)"),
        (Ink::OrangeLine, "not free (MemTotal − MemFree)"),
    ];
    let top = legend(&mut canvas, &lines, room, 0.0);
    let top = legend(&mut canvas, &PHASES, room, top - 4.0) + 16.0;
    let bottom = top + PLOT_HEIGHT;
    let (x_axis, minutes) = time_axis(traces, room);
    let y_axis = bytes_axis(traces, (bottom, top));
    let place = |point: &Point| (x_axis.place(point.0 / minutes), y_axis.place(point.1 / MB));
    for (index, trace) in traces.iter().enumerate() {
        let x = |seconds: f64| x_axis.place(seconds / minutes);
        let (from, to) = (x(trace.span_s.0), x(trace.span_s.1));
        if index % 2 == 0 {
            canvas.rect((from, top), (to - from, PLOT_HEIGHT), Ink::Stripe);
        }
        for &(phase, begin, end) in &trace.phases {
            let (begin, end) = (x(begin), x(end));
            if phase == PhaseName::Plateau {
                canvas.rect((begin, top), (end - begin, PLOT_HEIGHT), Ink::Plateau);
            }
            canvas.rect((begin, bottom + 4.0), (end - begin, BAND), phase_ink(phase));
        }
        cell_label(&mut canvas, trace, (from, to), top - 9.0);
    }
    axes(&mut canvas, &x_axis, &y_axis, (top, bottom));
    for trace in traces {
        for (points, ink) in [(&trace.free, Ink::OrangeLine), (&trace.available, Ink::Blue)] {
            canvas.line(points.iter().map(place).collect(), ink, 1.6);
        }
    }
    let unit = if minutes > 1.0 { "minutes" } else { "seconds" };
    let words = format!(
        "{unit} since the run's first phase; upright: MB taken since then (1 MB = 10⁶ bytes)"
    );
    let end = caption(&mut canvas, &words, room, bottom + 40.0);
    (canvas, end)
}

/// The axis of time and the seconds of its unit.
fn time_axis(traces: &[CellTrace], room: Room) -> (Axis, f64) {
    let end = traces.iter().map(|trace| trace.span_s.1).fold(1.0, f64::max);
    let unit = if end > 300.0 { 60.0 } else { 1.0 };
    let wanted = if room == Room::Wide { 8 } else { 4 };
    (Axis::new((0.0, end / unit), (46.0, room.width() - 10.0), wanted), unit)
}

fn bytes_axis(traces: &[CellTrace], places: (f64, f64)) -> Axis {
    let points = traces.iter().flat_map(|trace| trace.free.iter().chain(&trace.available));
    let (low, high) = points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
        (low.min(point.1 / MB), high.max(point.1 / MB))
    });
    let margin = ((high - low) * 0.05).max(1.0);
    Axis::new((low - margin, high + margin), places, 5)
}

fn axes(canvas: &mut Canvas, x_axis: &Axis, y_axis: &Axis, (top, bottom): (f64, f64)) {
    for tick in y_axis.ticks() {
        let y = y_axis.place(tick);
        canvas.line(vec![(x_axis.from, y), (x_axis.to, y)], Ink::Grid, 1.0);
        let words = fixed(tick, y_axis.decimals());
        canvas.text((x_axis.from - 6.0, y), &words, SMALL, Ink::Muted, Anchor::End);
    }
    canvas.line(vec![(x_axis.from, top), (x_axis.from, bottom)], Ink::Axis, 1.2);
    canvas.line(vec![(x_axis.from, bottom), (x_axis.to, bottom)], Ink::Axis, 1.2);
    for tick in x_axis.ticks() {
        let x = x_axis.place(tick);
        canvas.line(vec![(x, bottom), (x, bottom + 4.0)], Ink::Axis, 1.0);
        let words = fixed(tick, x_axis.decimals());
        canvas.text((x, bottom + 28.0), &words, SMALL, Ink::Muted, Anchor::Middle);
    }
}

/// Name, or number, or nothing: what fits above the cell.
fn cell_label(canvas: &mut Canvas, trace: &CellTrace, (from, to): (f64, f64), y: f64) {
    let mark = if trace.valid { "" } else { " (not used)" };
    let number = trace.number.to_string();
    let tries = [
        format!("{number} {}, {} pods{mark}", shorten(&trace.title, 30), trace.pods),
        format!("{number} {}{mark}", shorten(&trace.title, 30)),
        format!("{number}{mark}"),
        number.clone(),
    ];
    let fits = |words: &&String| text_width(words, SMALL) * 1.05 + 4.0 < to - from;
    if let Some(words) = tries.iter().find(fits) {
        canvas.text((f64::midpoint(from, to), y), words, SMALL, Ink::Text, Anchor::Middle);
    }
}
