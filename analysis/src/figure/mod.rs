//! Figures as SVG: `canvas` collects shapes and paints them, `ink` says in which colours, `bars`,
//! `stack`, `lines`, `fits` and `spans` lay out one kind of chart each, `draw` and `paper` decide
//! what they show, `forms` makes the forms of each.

pub mod axis;
pub mod bars;
pub mod canvas;
pub mod draw;
pub mod fits;
pub mod forms;
pub mod ink;
pub mod lines;
pub mod paper;
pub mod spans;
pub mod stack;

pub use draw::{PARTS, figures};

/// A figure in the forms in which a report holds it.
#[derive(Debug, Clone)]
pub struct Figure {
    /// File name without its extension.
    pub slug: &'static str,
    /// Title.
    pub title: String,
    /// How to read it; also what a screen reader says.
    pub description: String,
    /// A file that stands alone: own background, plain colours.
    pub file: String,
    /// For the page on a wide screen: the page's colours, light or dark.
    pub wide: String,
    /// For the page on a phone.
    pub narrow: String,
}

/// How much room a figure has, in its own units; text is about 13 of them high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Room {
    /// A page.
    Wide,
    /// A phone.
    Narrow,
}

impl Room {
    /// Width of the figure.
    pub fn width(self) -> f64 {
        match self {
            Self::Wide => 760.0,
            Self::Narrow => 350.0,
        }
    }
}
