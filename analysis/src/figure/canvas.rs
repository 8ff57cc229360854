//! Shapes as data, and their painting as SVG.

use std::collections::BTreeSet;

use super::ink::{Ink, Place};
use crate::format::clean;

/// Painted units for each unit of the figure: whole numbers that are fine enough.
const SCALE: f64 = 10.0;

/// Which side of its place a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A shape in units of the figure; y grows downwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A filled rectangle.
    Rect {
        /// Left edge.
        x: f64,
        /// Upper edge.
        y: f64,
        /// Width.
        width: f64,
        /// Height.
        height: f64,
        /// Filling.
        ink: Ink,
    },
    /// A line through points.
    Line {
        /// Its points.
        points: Vec<(f64, f64)>,
        /// Its colour.
        ink: Ink,
        /// Its thickness.
        thickness: f64,
    },
    /// A filled circle.
    Dot {
        /// Centre.
        at: (f64, f64),
        /// Radius.
        radius: f64,
        /// Filling.
        ink: Ink,
    },
    /// One line of text, vertically centred on its place.
    Text {
        /// Place.
        at: (f64, f64),
        /// Words.
        text: String,
        /// Height of the letters.
        size: f64,
        /// Colour.
        ink: Ink,
        /// True for bold letters.
        bold: bool,
        /// Side.
        anchor: Anchor,
    },
}

impl Shape {
    fn ink(&self) -> Ink {
        match *self {
            Self::Rect { ink, .. }
            | Self::Line { ink, .. }
            | Self::Dot { ink, .. }
            | Self::Text { ink, .. } => ink,
        }
    }
}

/// Text of ordinary size.
pub const SIZE: f64 = 13.0;

/// Text of ticks and remarks.
pub const SMALL: f64 = 12.0;

/// A drawing that grows downwards.
#[derive(Debug, Default)]
pub struct Canvas {
    shapes: Vec<Shape>,
}

impl Canvas {
    /// Adds a rectangle.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), ink: Ink) {
        self.shapes.push(Shape::Rect { x, y, width, height, ink });
    }

    /// Adds a line.
    pub fn line(&mut self, points: Vec<(f64, f64)>, ink: Ink, thickness: f64) {
        self.shapes.push(Shape::Line { points, ink, thickness });
    }

    /// Adds a circle.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, ink: Ink) {
        self.shapes.push(Shape::Dot { at, radius, ink });
    }

    /// Adds plain text.
    pub fn text(&mut self, at: (f64, f64), text: &str, size: f64, ink: Ink, anchor: Anchor) {
        let text = clean(text);
        self.shapes.push(Shape::Text { at, text, size, ink, bold: false, anchor });
    }

    /// Adds bold text.
    pub fn bold(&mut self, at: (f64, f64), text: &str, size: f64, ink: Ink, anchor: Anchor) {
        let text = clean(text);
        self.shapes.push(Shape::Text { at, text, size, ink, bold: true, anchor });
    }

    /// Puts the shapes of `back` behind those that are there.
    pub fn behind(&mut self, back: Self) {
        self.shapes.splice(0..0, back.shapes);
    }
}

/// Names of a drawing, for readers who do not see it.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Unique within the page.
    pub id: &'a str,
    /// Title.
    pub title: &'a str,
    /// How to read it.
    pub description: &'a str,
}

/// Paints `canvas` as one SVG element.
pub fn paint(
    canvas: &Canvas,
    (width, height): (f64, f64),
    names: Names<'_>,
    place: Place,
) -> String {
    let id = names.id;
    let shapes: String = canvas.shapes.iter().map(|shape| element(shape, place, id)).collect();
    let inks: BTreeSet<Ink> = canvas.shapes.iter().map(Shape::ink).collect();
    let patterns: String = inks.iter().filter_map(|ink| ink.definition(place, id)).collect();
    let definitions = match patterns.as_str() {
        "" => String::new(),
        patterns => format!("<defs>\n{patterns}</defs>\n"),
    };
    let (title, description) = (escape(&clean(names.title)), escape(&clean(names.description)));
    let room = match place {
        Place::Inline => Margins::default(),
        Place::File => Margins { side: 20.0, top: 52.0 },
    };
    let (left, top) = (px(-room.side), px(-room.top));
    let (width, height) = (width + 2.0 * room.side, height + room.top + room.side);
    let (view_width, view_height) = (px(width), px(height));
    let background = match place {
        Place::Inline => String::new(),
        // A file has no page around it: it brings its own paper and heading.
        Place::File => format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{view_width}\" height=\"{view_height}\" \
             fill=\"#ffffff\"/>\n<text x=\"0\" y=\"-210\" font-size=\"165\" font-weight=\"bold\" \
             fill=\"#1b1f24\">{title}</text>\n"
        ),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" \
         viewBox=\"{left} {top} {view_width} {view_height}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Arial, sans-serif\">\n\
         <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n\
         {definitions}{background}{shapes}</svg>\n"
    )
}

/// Empty room around a drawing.
#[derive(Debug, Clone, Copy, Default)]
struct Margins {
    side: f64,
    top: f64,
}

/// Painted units; what does not fit is clipped to far outside the figure.
fn px(units: f64) -> i32 {
    (units * SCALE).round().clamp(-1e6, 1e6) as i32
}

/// A shape as an element of its own line.
fn element(shape: &Shape, place: Place, id: &str) -> String {
    let paint = shape.ink().paint(place, id);
    match shape {
        Shape::Rect { x, y, width, height, .. } => {
            let (left, top) = (px(*x), px(*y));
            let (width, height) = (px(x + width) - left, px(y + height) - top);
            format!(
                "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
                 fill=\"{paint}\"/>\n"
            )
        }
        Shape::Line { points, thickness, .. } => {
            let points: Vec<String> =
                points.iter().map(|&(x, y)| format!("{},{} ", px(x), px(y))).collect();
            let points = points.concat();
            let width = px(*thickness).unsigned_abs();
            format!(
                "<polyline fill=\"none\" stroke=\"{paint}\" stroke-width=\"{width}\" \
                 points=\"{points}\"/>\n"
            )
        }
        Shape::Dot { at: (x, y), radius, .. } => {
            let (x, y, radius) = (px(*x), px(*y), px(*radius).unsigned_abs());
            format!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{paint}\" \
                 stroke-width=\"1\"/>\n"
            )
        }
        Shape::Text { at: (x, y), text, size, bold, anchor, .. } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let weight = if *bold { " font-weight=\"bold\"" } else { "" };
            let (x, y, size) = (px(*x), px(*y), px(*size));
            let text = escape(text).replace('"', "&quot;").replace('\'', "&apos;");
            format!(
                "<text x=\"{x}\" y=\"{y}\" dy=\"0.5ex\"{anchor} font-size=\"{size}\" \
                 fill=\"{paint}\"{weight}>\n{text}\n</text>\n"
            )
        }
    }
}

/// Text between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// About how wide `text` is: sans-serif letters are on average 0.55 of their height.
pub fn text_width(text: &str, size: f64) -> f64 {
    let widths = text.chars().map(|character| match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '(' | ')' | ' ' => 0.33,
        'm' | 'w' | 'M' | 'W' | '—' | '…' => 0.88,
        'A'..='Z' => 0.68,
        _ => 0.56,
    });
    widths.sum::<f64>() * size
}

/// As much of `text` as has room in `width`, with an ellipsis if some is missing. Bold letters are
/// a tenth wider, so that much is kept free.
pub fn fit(text: &str, size: f64, width: f64) -> String {
    let fits = |text: &str| text_width(text, size) * 1.1 <= width;
    if fits(text) {
        return text.to_owned();
    }
    let longest = text.chars().count().min(200);
    let tries = (1..longest).rev().map(|length| crate::format::shorten(text, length));
    tries.into_iter().find(|words| fits(words)).unwrap_or_default()
}

#[test]
fn hostile_names_stay_text() {
    let mut canvas = Canvas::default();
    canvas.text((1.0, 2.0), "</text><script>\u{1b}\"#FE0100\"", SIZE, Ink::Text, Anchor::End);
    canvas.rect((f64::NAN, f64::INFINITY), (1e300, -1.0), Ink::Orange);
    let names = Names { id: "x", title: "<b>&", description: "d" };
    let svg = paint(&canvas, (10.0, 10.0), names, Place::File);
    assert!(!svg.contains("<script>") && !svg.contains('\u{1b}') && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("&quot;#FE0100&quot;") && svg.contains("font-size=\"130\""), "{svg}");
}
