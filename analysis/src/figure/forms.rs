//! What all figures of a study have in common: three forms, and words for what is missing.

use super::canvas::{Canvas, Names, paint};
use super::ink::Place;
use super::{Figure, Room};
use crate::study::Study;

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
