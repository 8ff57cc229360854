//! Shapes as data, painted at the end by plotters' SVG backend.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::ink::{Ink, Place, replace_markers};
use crate::error::Error;
use crate::format::clean;

/// The backend knows whole units only: it is given ten for each unit of the figure.
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
///
/// # Errors
/// As plotters; writing into memory gives it no reason to.
pub fn paint(
    canvas: &Canvas,
    (width, height): (f64, f64),
    names: Names<'_>,
    place: Place,
) -> Result<String, Error> {
    let mut painted = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut painted, (1, 1));
        let failed = |error: String| Error::Figure { figure: names.id.to_owned(), reason: error };
        for shape in &canvas.shapes {
            paint_shape(&mut backend, shape).map_err(failed)?;
        }
        backend.present().map_err(|error| failed(error.to_string()))?;
    }
    let inner = painted.split_once('\n').map_or("", |split| split.1);
    let (inner, patterns) = replace_markers(&tidy(inner), place, names.id);
    let escape =
        |text: &str| clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (title, description) = (escape(names.title), escape(names.description));
    let definitions = match patterns.as_str() {
        "" => String::new(),
        patterns => format!("<defs>\n{patterns}</defs>\n"),
    };
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
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" \
         viewBox=\"{left} {top} {view_width} {view_height}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Arial, sans-serif\">\n\
         <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n\
         {definitions}{background}{inner}",
        id = names.id
    ))
}

/// Empty room around a drawing.
#[derive(Debug, Clone, Copy, Default)]
struct Margins {
    side: f64,
    top: f64,
}

/// Units of the backend; what does not fit is clipped to far outside the figure.
fn px(units: f64) -> i32 {
    (units * SCALE).round().clamp(-1e6, 1e6) as i32
}

fn style(ink: Ink) -> ShapeStyle {
    let (red, green, blue) = ink.marker();
    RGBColor(red, green, blue).filled()
}

fn paint_shape(backend: &mut SVGBackend<'_>, shape: &Shape) -> Result<(), String> {
    let painted = match shape {
        Shape::Rect { x, y, width, height, ink } => {
            let corner = (px(*x), px(*y));
            let other = (px(x + width), px(y + height));
            backend.draw_rect(corner, other, &style(*ink), true)
        }
        Shape::Line { points, ink, thickness } => {
            let style = style(*ink).stroke_width(px(*thickness).unsigned_abs());
            backend.draw_path(points.iter().map(|&(x, y)| (px(x), px(y))), &style)
        }
        Shape::Dot { at, radius, ink } => {
            let centre = (px(at.0), px(at.1));
            backend.draw_circle(centre, px(*radius).unsigned_abs(), &style(*ink), true)
        }
        Shape::Text { at, text, size, ink, bold, anchor } => {
            let weight = if *bold { FontStyle::Bold } else { FontStyle::Normal };
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let colour = RGBColor(ink.marker().0, ink.marker().1, ink.marker().2);
            // The backend divides the size by 1.24.
            let font = (FontFamily::SansSerif, size * SCALE * 1.24).into_font().style(weight);
            let style =
                TextStyle::from(font).color(&colour).pos(Pos::new(horizontal, VPos::Center));
            backend.draw_text(text, &style, (px(at.0), px(at.1)))
        }
    };
    painted.map_err(|error| error.to_string())
}

/// Drops attributes that say nothing and rounds sizes; text cannot hold a plain quotation mark, so
/// nothing of it matches.
fn tidy(drawing: &str) -> String {
    let plain = drawing
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" text-anchor=\"start\"", "");
    let mut tidied = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    let key = "font-size=\"";
    while let Some((before, after)) = rest.split_once(key) {
        tidied.push_str(before);
        tidied.push_str(key);
        let (size, tail) = after.split_once('"').unwrap_or((after, ""));
        let rounded = size.parse::<f64>().map_or(0.0, f64::round);
        tidied.push_str(&rounded.to_string());
        tidied.push('"');
        rest = tail;
    }
    tidied.push_str(rest);
    tidied
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
    let svg = paint(&canvas, (10.0, 10.0), names, Place::File).unwrap();
    assert!(!svg.contains("<script>") && !svg.contains('\u{1b}') && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("&quot;#FE0100&quot;") && svg.contains("font-size=\"130\""), "{svg}");
}
