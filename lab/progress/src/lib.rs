//! Progress of long work: bars on a terminal, one plain line per event elsewhere.
//!
//! Everything goes to standard error. Without a terminal a step is one line at its beginning, one
//! at its end, and one at most every ten seconds while it gets somewhere; each line begins with the
//! time since the command began. `NO_COLOR` and its relatives are honoured.

mod bars;
mod lines;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use bars::{Bar, Bars};
use lines::{Line, Lines};

/// Where the progress of a command goes: standard error. Clones share one screen.
#[derive(Debug, Clone)]
pub struct Progress {
    screen: Screen,
}

#[derive(Debug, Clone)]
enum Screen {
    Bars(Bars),
    Lines(Lines),
}

/// One piece of work under way; it ends with [`Step::done`] or [`Step::failed`].
///
/// Several may be under way at once, on several threads. One that is dropped vanishes without a
/// word: its error is reported by the caller.
#[derive(Debug)]
pub struct Step {
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(Bar),
    Line(Line),
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Bars if standard error is a terminal, else lines.
    pub fn new() -> Self {
        let screen = if std::io::stderr().is_terminal() {
            Screen::Bars(Bars::new())
        } else {
            Screen::Lines(Lines::new(Instant::now()))
        };
        Self { screen }
    }

    /// Work whose length is not known.
    pub fn step(&self, title: &str) -> Step {
        self.counted(title, 0)
    }

    /// Work of `total` pieces (0: not known); elapsed and expected time are shown.
    pub fn counted(&self, title: &str, total: u64) -> Step {
        let shown = match &self.screen {
            Screen::Bars(bars) => Shown::Bar(bars.add(title, total)),
            Screen::Lines(lines) => Shown::Line(lines.add(title, total, Instant::now())),
        };
        Step { shown }
    }

    /// A line of its own, above any bar.
    pub fn line(&self, text: &str) {
        match &self.screen {
            Screen::Bars(bars) => bars.line(text),
            Screen::Lines(lines) => lines.line(text),
        }
    }
}

impl Step {
    /// What is being done right now.
    pub fn set(&self, detail: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.set(detail),
            Shown::Line(line) => line.report(|state| detail.clone_into(&mut state.detail)),
        }
    }

    /// The work turned out to have `total` pieces.
    pub fn set_total(&self, total: u64) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_total(total),
            Shown::Line(line) => line.report(|state| state.total = total),
        }
    }

    /// `count` more pieces are done.
    pub fn advance(&self, count: u64) {
        match &self.shown {
            Shown::Bar(bar) => bar.advance(count),
            Shown::Line(line) => line.report(|state| state.position += count),
        }
    }

    /// `position` pieces are done, never fewer than were said before.
    pub fn set_position(&self, position: u64) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(position),
            Shown::Line(line) => {
                line.report(|state| state.position = state.position.max(position));
            }
        }
    }

    /// The work is done; `detail` says what came of it.
    pub fn done(self, detail: &str) {
        self.end(true, detail);
    }

    /// The work failed; the error itself is reported by the caller.
    pub fn failed(self, detail: &str) {
        self.end(false, detail);
    }

    fn end(&self, good: bool, detail: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.end(good, detail),
            Shown::Line(line) => line.end(good, detail),
        }
    }
}

/// `7.3 s`, `2 min 05 s`, `1 h 02 min`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let table = [
            (0, "0.0 s"),
            (7_349, "7.3 s"),
            (60_000, "1 min 00 s"),
            (125_900, "2 min 05 s"),
            (3_600_000, "1 h 00 min"),
            (3_725_000, "1 h 02 min"),
        ];
        for (milliseconds, want) in table {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), want);
        }
    }

    #[test]
    fn steps_may_come_from_several_threads() {
        fn shareable<T: Send + Sync>() {}
        shareable::<Progress>();
        shareable::<Step>();
    }
}
