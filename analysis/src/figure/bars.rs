//! Horizontal bars side by side: a row per system, a bar per measure, a panel per density.

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, SIZE, SMALL, fit, text_width};
use super::forms::Room;
use super::ink::Ink;
use crate::format::fixed;

/// A chart of bars.
#[derive(Debug, Clone)]
pub struct BarChart {
    /// What the axis counts, with its unit.
    pub axis_title: String,
    /// Divides values into units of the axis.
    pub unit: f64,
    /// Digits after the point of the labels.
    pub decimals: usize,
    /// Unit behind each label.
    pub suffix: &'static str,
    /// Inks and what they stand for.
    pub legend: Vec<(Ink, String)>,
    /// True if all panels have one scale; else each has its own.
    pub one_scale: bool,
    /// One per density.
    pub panels: Vec<Panel>,
}

/// The rows of one density.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Stands above the rows.
    pub heading: String,
    /// One per system.
    pub rows: Vec<BarRow>,
}

/// A system.
#[derive(Debug, Clone)]
pub struct BarRow {
    /// Its name.
    pub label: String,
    /// True for ours: set bold.
    pub ours: bool,
    /// One per measure.
    pub bars: Vec<Bar>,
    /// Said where there is no value.
    pub lack: &'static str,
}

/// A bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Its filling.
    pub ink: Ink,
    /// Its length; a system without a valid cell has none.
    pub value: Option<f64>,
    /// Ends of the interval or range.
    pub ends: Option<(f64, f64)>,
    /// The repetitions.
    pub points: Vec<f64>,
}

const BAR: f64 = 17.0;
const BAR_GAP: f64 = 4.0;
const ROW_GAP: f64 = 16.0;

/// Where rows and labels go.
struct Layout {
    room: Room,
    label_width: f64,
    axis: Axis,
}

impl BarChart {
    fn layout(&self, room: Room, panel: &Panel) -> Layout {
        let all = || self.panels.iter().flat_map(|panel| &panel.rows);
        let longest = all().map(|row| text_width(&row.label, SIZE)).fold(0.0, f64::max);
        let label_width = match room {
            Room::Wide => (longest * 1.1 + 12.0).clamp(60.0, 270.0),
            Room::Narrow => 2.0,
        };
        let rows: Vec<&BarRow> =
            if self.one_scale { all().collect() } else { panel.rows.iter().collect() };
        let seen = rows.iter().flat_map(|row| &row.bars).flat_map(|bar| {
            let ends = bar.ends.into_iter().flat_map(|ends| [ends.0, ends.1]);
            bar.value.into_iter().chain(ends).chain(bar.points.iter().copied())
        });
        let (low, high) = seen.fold((0.0_f64, 0.0_f64), |(low, high), value| {
            (low.min(value / self.unit), high.max(value / self.unit))
        });
        let widest = all()
            .flat_map(|row| &row.bars)
            .filter_map(|bar| Some(text_width(&self.label(bar.value?), SIZE)))
            .fold(40.0, f64::max);
        let to = room.width() - widest * 1.12 - 14.0;
        let wanted = if room == Room::Wide { 5 } else { 3 };
        Layout { room, label_width, axis: Axis::new((low, high), (label_width, to), wanted) }
    }

    fn label(&self, value: f64) -> String {
        format!("{}\u{a0}{}", fixed(value / self.unit, self.decimals), self.suffix)
    }

    /// Draws the chart; returns it with its height.
    pub fn draw(&self, room: Room) -> (Canvas, f64) {
        let mut canvas = Canvas::default();
        let mut y = legend(&mut canvas, &self.legend, room, 0.0);
        for (index, panel) in self.panels.iter().enumerate() {
            let layout = self.layout(room, panel);
            if self.panels.len() > 1 {
                y += 14.0;
                let words = panel.heading.as_str();
                canvas.bold((2.0, y), words, SIZE, Ink::Muted, Anchor::Start);
                y += 14.0;
            }
            let top = y;
            for row in &panel.rows {
                y = self.draw_row(&mut canvas, &layout, row, y);
            }
            let mut grid = Canvas::default();
            draw_grid(&mut grid, &layout.axis, (top, y));
            canvas.behind(grid);
            if !self.one_scale || index + 1 == self.panels.len() {
                draw_ticks(&mut canvas, &layout.axis, y + 11.0);
                y += 20.0;
            }
        }
        let bottom = caption(&mut canvas, &self.axis_title, room, y);
        (canvas, bottom)
    }

    fn draw_row(&self, canvas: &mut Canvas, layout: &Layout, row: &BarRow, top: f64) -> f64 {
        let mut y = top + ROW_GAP / 2.0;
        let room = match layout.room {
            Room::Wide => layout.label_width - 12.0,
            Room::Narrow => layout.room.width() - 10.0,
        };
        let label = fit(&row.label, SIZE, room);
        let draw = if row.ours { Canvas::bold } else { Canvas::text };
        let bars_height = row.bars.len() as f64 * (BAR + BAR_GAP) - BAR_GAP;
        match layout.room {
            Room::Wide => {
                let at = (layout.label_width - 10.0, y + bars_height / 2.0);
                draw(canvas, at, &label, SIZE, Ink::Text, Anchor::End);
            }
            Room::Narrow => {
                draw(canvas, (2.0, y + 7.0), &label, SIZE, Ink::Text, Anchor::Start);
                y += 19.0;
            }
        }
        for bar in &row.bars {
            self.draw_bar(canvas, layout, (bar, row.lack), y);
            y += BAR + BAR_GAP;
        }
        y - BAR_GAP + ROW_GAP / 2.0
    }

    fn draw_bar(&self, canvas: &mut Canvas, layout: &Layout, (bar, lack): (&Bar, &str), y: f64) {
        let place = |value: f64| layout.axis.place(value / self.unit);
        let (zero, middle) = (place(0.0), y + BAR / 2.0);
        let Some(value) = bar.value else {
            let at = (zero + 7.0, middle);
            canvas.text(at, lack, SMALL, Ink::Muted, Anchor::Start);
            return;
        };
        let end = place(value);
        canvas.rect((zero.min(end), y), ((end - zero).abs().max(1.0), BAR), bar.ink);
        let mut right = zero.max(end);
        if let Some((low, high)) = bar.ends {
            let (low, high) = (place(low), place(high));
            for (ink, thickness) in [(Ink::Card, 4.0), (Ink::Text, 1.6)] {
                canvas.line(vec![(low, middle), (high, middle)], ink, thickness);
                for x in [low, high] {
                    canvas.line(vec![(x, middle - 4.0), (x, middle + 4.0)], ink, thickness);
                }
            }
            right = right.max(high);
        }
        if bar.points.len() > 1 {
            for &point in &bar.points {
                canvas.dot((place(point), middle), 3.4, Ink::Card);
                canvas.dot((place(point), middle), 2.3, Ink::Text);
                right = right.max(place(point));
            }
        }
        let words = self.label(value);
        canvas.text((right + 7.0, middle), &words, SIZE, Ink::Text, Anchor::Start);
    }
}

/// Upright lines at the ticks.
pub fn draw_grid(canvas: &mut Canvas, axis: &Axis, (top, bottom): (f64, f64)) {
    for tick in axis.ticks() {
        let zero = tick.abs() < axis.step / 2.0;
        let (ink, thickness) = if zero { (Ink::Axis, 1.4) } else { (Ink::Grid, 1.0) };
        let x = axis.place(tick);
        canvas.line(vec![(x, top), (x, bottom)], ink, thickness);
    }
}

/// Numbers below the ticks.
pub fn draw_ticks(canvas: &mut Canvas, axis: &Axis, y: f64) {
    for tick in axis.ticks() {
        let x = axis.place(tick);
        let anchor = if x < 12.0 { Anchor::Start } else { Anchor::Middle };
        let words = fixed(tick, axis.decimals());
        canvas.text((x, y), &words, SMALL, Ink::Muted, anchor);
    }
}

/// Writes what the axes count below a figure, in as many lines as it takes; returns the y below.
pub fn caption(canvas: &mut Canvas, words: &str, room: Room, top: f64) -> f64 {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last().map_or("", String::as_str);
        if !line.is_empty() && text_width(&format!("{line} {word}"), SMALL) > room.width() * 0.92 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let mut y = top + 10.0;
    for line in lines {
        canvas.text((2.0, y), &line, SMALL, Ink::Muted, Anchor::Start);
        y += 16.0;
    }
    y - 4.0
}

/// Draws a legend line by line; returns the y below it.
pub fn legend(
    canvas: &mut Canvas,
    entries: &[(Ink, impl AsRef<str>)],
    room: Room,
    top: f64,
) -> f64 {
    let (mut x, mut y) = (2.0, top + 10.0);
    for (ink, words) in entries {
        let words = words.as_ref();
        let width = 22.0 + text_width(words, SMALL) * 1.08 + 18.0;
        if x > 2.0 && x + width > room.width() {
            (x, y) = (2.0, y + 19.0);
        }
        canvas.rect((x, y - 6.0), (16.0, 12.0), *ink);
        canvas.text((x + 22.0, y), words, SMALL, Ink::Text, Anchor::Start);
        x += width;
    }
    if entries.is_empty() { top } else { y + 14.0 }
}
