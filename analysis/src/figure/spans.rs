//! Starting: how the pods' start times are distributed, and which stage takes how long.

use super::axis::Axis;
use super::bars::{caption, draw_grid, draw_ticks};
use super::canvas::{Anchor, Canvas, SIZE, SMALL, fit, text_width};
use super::forms::{Figure, NO_VALUE, Room, finish};
use super::ink::Ink;
use super::stack::{self, Scale, StackRow};
use crate::group::Group;
use crate::measure::Measure;
use crate::study::{Study, by_density};

const ROW: f64 = 26.0;

/// First, a tenth, half, nine tenths and all of the pods.
const STEPS: [Measure; 5] = [
    Measure::StartFirst,
    Measure::StartP10,
    Measure::StartP50,
    Measure::StartP90,
    Measure::StartLast,
];

/// How the first instructions of the pods are spread over time.
pub fn distribution(study: &Study) -> Option<Figure> {
    if study.groups.iter().all(|group| group.median(Measure::StartLast).is_none()) {
        return None;
    }
    let words = "From the first pod to the last (thin), from one tenth to nine tenths of them \
                 (thick), and the middle one (stroke). Medians over the repetitions; dots are the \
                 last pod of each repetition.";
    let title = "When the pods run";
    Some(finish("start-distribution", title, words, |room| draw(study, room)))
}

fn draw(study: &Study, room: Room) -> (Canvas, f64) {
    let mut canvas = Canvas::default();
    let panels = by_density(&study.groups);
    let label = |group: &Group| study.systems[group.key.system].title.as_str();
    let longest =
        study.groups.iter().map(|group| text_width(label(group), SIZE)).fold(0.0, f64::max);
    let from = match room {
        Room::Wide => (longest * 1.1 + 12.0).clamp(60.0, 270.0),
        Room::Narrow => 4.0,
    };
    let mut y = 4.0;
    for (pods, groups) in panels {
        let high = groups.iter().filter_map(|group| group.values.get(&Measure::StartLast));
        let high = high
            .flat_map(|summary| summary.repetitions.iter().map(|one| one.1))
            .fold(0.0, f64::max);
        let wanted = if room == Room::Wide { 6 } else { 3 };
        let axis = Axis::new((0.0, high / 1e6), (from, room.width() - 26.0), wanted);
        let heading = format!("{pods} pods");
        canvas.bold((2.0, y + 8.0), &heading, SIZE, Ink::Muted, Anchor::Start);
        y += 22.0;
        let top = y;
        for group in groups {
            let system = &study.systems[group.key.system];
            let draw_label = if system.ours { Canvas::bold } else { Canvas::text };
            if room == Room::Wide {
                let words = fit(&system.title, SIZE, from - 12.0);
                let at = (from - 10.0, y + ROW / 2.0);
                draw_label(&mut canvas, at, &words, SIZE, Ink::Text, Anchor::End);
            } else {
                let words = fit(&system.title, SIZE, room.width() - 10.0);
                draw_label(&mut canvas, (2.0, y + 8.0), &words, SIZE, Ink::Text, Anchor::Start);
                y += 16.0;
            }
            span(&mut canvas, &axis, group, y + ROW / 2.0);
            y += ROW;
        }
        let mut grid = Canvas::default();
        draw_grid(&mut grid, &axis, (top, y));
        canvas.behind(grid);
        draw_ticks(&mut canvas, &axis, y + 11.0);
        y += 26.0;
    }
    let words = "milliseconds after the call that creates the pods; each density has its own scale";
    let end = caption(&mut canvas, words, room, y);
    (canvas, end)
}

fn span(canvas: &mut Canvas, axis: &Axis, group: &Group, y: f64) {
    let steps: Option<Vec<f64>> = STEPS.iter().map(|&step| group.median(step)).collect();
    let Some(steps) = steps else {
        canvas.text((axis.from + 7.0, y), NO_VALUE, SMALL, Ink::Muted, Anchor::Start);
        return;
    };
    let place = |nanoseconds: f64| axis.place(nanoseconds / 1e6);
    let (first, tenth, half, ninth, last) =
        (place(steps[0]), place(steps[1]), place(steps[2]), place(steps[3]), place(steps[4]));
    canvas.line(vec![(first, y), (last, y)], Ink::Text, 1.6);
    canvas.rect((tenth, y - 6.0), ((ninth - tenth).max(1.5), 12.0), Ink::Blue);
    canvas.line(vec![(half, y - 9.0), (half, y + 9.0)], Ink::Card, 5.0);
    canvas.line(vec![(half, y - 9.0), (half, y + 9.0)], Ink::Text, 2.4);
    let ends = group.values.get(&Measure::StartLast);
    for &(_, stamp) in ends.iter().flat_map(|summary| &summary.repetitions) {
        canvas.dot((place(stamp), y), 3.4, Ink::Card);
        canvas.dot((place(stamp), y), 2.4, Ink::Text);
    }
}

/// Stages of the start with their inks.
const STAGES: [(Ink, &str); 4] = [
    (Ink::Yellow, "scheduled, half of the pods"),
    (Ink::BlueHatch, "from there to the first instruction, half"),
    (Ink::Orange, "from half to nine tenths"),
    (Ink::Grey, "from nine tenths to all"),
];

/// Which stage of the start takes how long.
pub fn stages(study: &Study) -> Option<Figure> {
    let several = study.densities().len() > 1;
    let rows: Vec<StackRow> = study
        .groups
        .iter()
        .map(|group| {
            let system = &study.systems[group.key.system];
            let stamps = [
                group.median(Measure::ScheduledP50),
                group.median(Measure::StartP50),
                group.median(Measure::StartP90),
                group.median(Measure::StartLast),
            ];
            let mut before = 0.0;
            let parts = stamps.iter().zip(STAGES).filter_map(|(stamp, (ink, words))| {
                let length = (*stamp)? - before;
                before = (*stamp)?;
                Some((ink, words, length))
            });
            StackRow {
                label: if several {
                    format!("{}, {} pods", system.title, group.key.pods)
                } else {
                    system.title.clone()
                },
                ours: system.ours,
                total: stamps[3],
                parts: parts.collect(),
            }
        })
        .collect();
    if rows.iter().all(|row| row.parts.is_empty()) {
        return None;
    }
    let scale = Scale {
        unit: 1e6,
        decimals: 0,
        suffix: "ms",
        caption: "milliseconds after the call that creates the pods",
    };
    let words = "Medians over the repetitions. Scheduling is seen through the API server, the \
                 first instruction is the workload's own stamp.";
    let title = "Stages of the start";
    Some(finish("start-stages", title, words, |room| stack::draw(&rows, &STAGES, scale, room)))
}
