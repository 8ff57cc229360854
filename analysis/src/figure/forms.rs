//! What all figures of a study have in common: three forms, and words for what is missing.

use super::canvas::{Canvas, Names, paint};
use super::ink::Place;
use crate::study::Study;

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

/// Said of a system without a valid cell.
pub const NO_VALUE: &str = "no valid value";

/// Draws a figure in its three forms.
pub fn finish(
    slug: &'static str,
    title: &str,
    description: &str,
    draw: impl Fn(Room) -> (Canvas, f64),
) -> Figure {
    let form = |room: Room, place: Place, id: &str| {
        let (canvas, height) = draw(room);
        paint(&canvas, (room.width(), height), Names { id, title, description }, place)
    };
    Figure {
        slug,
        title: title.to_owned(),
        description: description.to_owned(),
        file: form(Room::Wide, Place::File, slug),
        wide: form(Room::Wide, Place::Inline, &format!("{slug}-wide")),
        narrow: form(Room::Narrow, Place::Inline, &format!("{slug}-narrow")),
    }
}

/// Says what dots and whiskers mean, if there are any.
pub fn marks(study: &Study) -> &'static str {
    match study.groups.iter().map(|group| group.valid).max() {
        Some(0 | 1) | None => " One repetition: no interval.",
        Some(2) => " Dots are the repetitions, the line joins them.",
        Some(_) => {
            " Dots are the repetitions, the line is the 95 % interval; of two repetitions it is \
             their range."
        }
    }
}
