//! Stacked bars: the parts of a whole, a row per system.

use super::axis::Axis;
use super::bars::{caption, draw_grid, draw_ticks, legend};
use super::canvas::{Anchor, Canvas, SIZE, SMALL, fit, text_width};
use super::forms::Room;
use super::ink::Ink;
use crate::format::fixed;

/// A row of parts.
#[derive(Debug, Clone)]
pub struct StackRow {
    /// Name of the system, with its density if there are several.
    pub label: String,
    /// True for ours: set bold.
    pub ours: bool,
    /// The whole, as measured.
    pub total: Option<f64>,
    /// Parts, in the order of the legend.
    pub parts: Vec<(Ink, &'static str, f64)>,
}

/// What the parts are counted in.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Divides values into what is printed.
    pub unit: f64,
    /// Digits after the point.
    pub decimals: usize,
    /// Behind a number.
    pub suffix: &'static str,
    /// Below the axis.
    pub caption: &'static str,
}

const BAR: f64 = 26.0;

/// Draws the rows; returns the drawing with its height.
pub fn draw(rows: &[StackRow], entries: &[(Ink, &str)], scale: Scale, room: Room) -> (Canvas, f64) {
    let mut canvas = Canvas::default();
    let mut y = legend(&mut canvas, entries, room, 0.0);
    let top = y;
    let length = |row: &StackRow| {
        row.parts.iter().map(|part| part.2.max(0.0)).sum::<f64>().max(row.total.unwrap_or(0.0))
    };
    let high = rows.iter().map(length).fold(0.0, f64::max) / scale.unit;
    let wanted = if room == Room::Wide { 6 } else { 4 };
    let axis = Axis::new((0.0, high), (2.0, room.width() - 14.0), wanted);
    for row in rows {
        y = draw_row(&mut canvas, &axis, row, (scale, y + 12.0));
    }
    y += 8.0;
    let mut grid = Canvas::default();
    draw_grid(&mut grid, &axis, (top, y));
    canvas.behind(grid);
    draw_ticks(&mut canvas, &axis, y + 11.0);
    let bottom = caption(&mut canvas, scale.caption, room, y + 20.0);
    (canvas, bottom)
}

fn draw_row(canvas: &mut Canvas, axis: &Axis, row: &StackRow, (scale, top): (Scale, f64)) -> f64 {
    let number = |value: f64| fixed(value / scale.unit, scale.decimals);
    let shown = row
        .total
        .map_or_else(String::new, |value| format!(", {}\u{a0}{}", number(value), scale.suffix));
    let room = axis.to - text_width(&shown, SIZE) * 1.1;
    let words = format!("{}{shown}", fit(&row.label, SIZE, room));
    // The grid would run through the words.
    let width = text_width(&words, SIZE) * 1.15;
    canvas.rect((2.0, top - 1.0), (width, 16.0), Ink::Card);
    let draw = if row.ours { Canvas::bold } else { Canvas::text };
    draw(canvas, (2.0, top + 7.0), &words, SIZE, Ink::Text, Anchor::Start);
    let mut y = top + 18.0;
    if row.parts.is_empty() {
        let words = "no valid value";
        canvas.text((8.0, y + BAR / 2.0), words, SMALL, Ink::Muted, Anchor::Start);
        return y + BAR;
    }
    let mut sum = 0.0;
    for (ink, _, value) in &row.parts {
        let value = value.max(0.0);
        let (from, to) = (axis.place(sum / scale.unit), axis.place((sum + value) / scale.unit));
        sum += value;
        canvas.rect((from, y), (to - from, BAR), *ink);
        canvas.line(vec![(to, y), (to, y + BAR)], Ink::Card, 1.2);
        let words = number(value);
        let width = text_width(&words, SMALL) + 6.0;
        if to - from > width + 4.0 {
            let middle = f64::midpoint(from, to);
            canvas.rect((middle - width / 2.0, y + 5.0), (width, BAR - 10.0), Ink::Card);
            canvas.text((middle, y + BAR / 2.0), &words, SMALL, Ink::Text, Anchor::Middle);
        }
    }
    y += BAR;
    let negative: Vec<String> = row
        .parts
        .iter()
        .filter(|part| part.2 < -0.005 * scale.unit)
        .map(|part| format!("{} {} {}", part.1, number(part.2), scale.suffix))
        .collect();
    if !negative.is_empty() {
        let words = format!("not drawn: {}", negative.join(", "));
        canvas.text((2.0, y + 10.0), &words, SMALL, Ink::Muted, Anchor::Start);
        y += 18.0;
    }
    y
}
