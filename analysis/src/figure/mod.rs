//! Figures as SVG: `canvas` collects shapes and paints them, `ink` says in which colours, `bars`,
//! `stack`, `lines`, `series`, `fits` and `spans` lay out one kind of chart each, `draw` and
//! `paper` decide what they show, `forms` makes the forms of each.

pub mod axis;
pub mod bars;
pub mod canvas;
pub mod draw;
pub mod fits;
pub mod forms;
pub mod ink;
pub mod lines;
pub mod paper;
pub mod series;
pub mod spans;
pub mod stack;

pub use draw::{PARTS, figures};
pub use forms::{Figure, Room};
