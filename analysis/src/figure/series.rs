//! Figures over a count: a line per system.

use super::axis::Axis;
use super::bars::{caption, draw_ticks, legend};
use super::canvas::{Anchor, Canvas, SMALL};
use super::forms::Room;
use super::ink::Ink;
use crate::format::fixed;

const PLOT_HEIGHT: f64 = 220.0;

/// The lines' colours, in turn.
const INKS: [Ink; 6] =
    [Ink::Blue, Ink::Vermilion, Ink::OrangeLine, Ink::Purple, Ink::Text, Ink::Yellow];

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Whose it is.
    pub title: String,
    /// Its points, in units of the axes.
    pub points: Vec<(f64, f64)>,
}

/// Lines in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesChart {
    /// The lines.
    pub curves: Vec<Curve>,
    /// What the axes count.
    pub caption: String,
}

impl SeriesChart {
    /// Draws the chart; returns it with its height.
    pub fn draw(&self, room: Room) -> (Canvas, f64) {
        let mut canvas = Canvas::default();
        let inks = || INKS.iter().copied().cycle();
        let entries: Vec<(Ink, &str)> =
            inks().zip(self.curves.iter().map(|curve| curve.title.as_str())).collect();
        let top = legend(&mut canvas, &entries, room, 0.0) + 8.0;
        let bottom = top + PLOT_HEIGHT;
        let ((left, right), (low, high)) = self.bounds();
        let margin = ((high - low) * 0.05).max(0.5);
        let wanted = if room == Room::Wide { 8 } else { 4 };
        let x_axis = Axis::new((left, right), (56.0, room.width() - 16.0), wanted);
        let y_axis = Axis::new((low - margin, high + margin), (bottom, top), 5);
        for tick in y_axis.ticks() {
            let y = y_axis.place(tick);
            canvas.line(vec![(x_axis.from, y), (x_axis.to, y)], Ink::Grid, 1.0);
            let words = fixed(tick, y_axis.decimals());
            canvas.text((x_axis.from - 6.0, y), &words, SMALL, Ink::Muted, Anchor::End);
        }
        canvas.line(vec![(x_axis.from, bottom), (x_axis.to, bottom)], Ink::Axis, 1.2);
        draw_ticks(&mut canvas, &x_axis, bottom + 14.0);
        for (ink, curve) in inks().zip(&self.curves) {
            let place = |point: &(f64, f64)| (x_axis.place(point.0), y_axis.place(point.1));
            canvas.line(curve.points.iter().map(place).collect(), ink, 1.6);
        }
        let end = caption(&mut canvas, &self.caption, room, bottom + 26.0);
        (canvas, end)
    }

    /// Ends of both axes.
    fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let ends = |of: fn(&(f64, f64)) -> f64| {
            points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        (ends(|point| point.0), ends(|point| point.1))
    }
}

#[test]
fn every_line_lies_in_the_frame() {
    let curve = |title: &str, points: &[(f64, f64)]| Curve {
        title: title.to_owned(),
        points: points.to_vec(),
    };
    let chart = SeriesChart {
        curves: vec![curve("a", &[(20.0, 5.0), (200.0, 9.0)]), curve("b", &[(20.0, -1.0)])],
        caption: "starts".to_owned(),
    };
    assert_eq!(chart.bounds(), ((20.0, 200.0), (-1.0, 9.0)));
    for room in [Room::Wide, Room::Narrow] {
        let (_, height) = chart.draw(room);
        assert!(height > PLOT_HEIGHT && height < PLOT_HEIGHT + 120.0, "{height}");
    }
    let empty = SeriesChart { curves: vec![curve("a", &[])], caption: String::new() };
    assert!(empty.draw(Room::Wide).1.is_finite());
}
