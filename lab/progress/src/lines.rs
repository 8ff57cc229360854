//! No terminal: lines that read well in a log file.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A step says at most this often how far it is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Writes lines with the time since `begun`.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    begun: Instant,
}

/// What is known of one step.
#[derive(Debug)]
pub struct Line {
    title: String,
    state: Mutex<State>,
    lines: Lines,
}

/// How far a step is.
#[derive(Debug, Clone)]
pub struct State {
    pub detail: String,
    pub position: u64,
    /// 0: not known.
    pub total: u64,
    begun: Instant,
    said: Instant,
}

impl Lines {
    pub fn new(begun: Instant) -> Self {
        Self { begun }
    }

    /// Says that a step begins.
    pub fn add(self, title: &str, total: u64, now: Instant) -> Line {
        self.line(&format!("{title} …"));
        let state = State { detail: String::new(), position: 0, total, begun: now, said: now };
        Line { title: title.to_owned(), state: Mutex::new(state), lines: self }
    }

    pub fn line(self, text: &str) {
        anstream::eprintln!("{}", stamped(self.begun.elapsed(), text));
    }
}

impl Line {
    /// Changes the state of the step; says so if it has been silent for long enough.
    pub fn report(&self, change: impl FnOnce(&mut State)) {
        let text = self.lock().changed(&self.title, Instant::now(), change);
        if let Some(text) = text {
            self.lines.line(&text);
        }
    }

    /// The last line of the step.
    pub fn end(&self, good: bool, detail: &str) {
        let failed = if good { "" } else { "failed: " };
        let took = crate::in_words(self.lock().begun.elapsed());
        self.lines.line(&format!("{}: {failed}{detail} ({took})", self.title));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a state that is at worst one change old.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn changed(
        &mut self,
        title: &str,
        now: Instant,
        change: impl FnOnce(&mut Self),
    ) -> Option<String> {
        change(self);
        if now.saturating_duration_since(self.said) < HEARTBEAT {
            return None;
        }
        self.said = now;
        Some(self.text(title, now.saturating_duration_since(self.begun)))
    }

    fn text(&self, title: &str, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        if !self.detail.is_empty() {
            parts.push(self.detail.clone());
        }
        if self.total > 0 {
            parts.push(format!("{} of {}", self.position, self.total));
        } else if self.position > 0 {
            parts.push(format!("{} done", self.position));
        }
        parts.push(crate::in_words(elapsed));
        if let Some(left) = self.left(elapsed) {
            parts.push(format!("about {} left", crate::in_words(left)));
        }
        format!("{title}: {}", parts.join(", "))
    }

    /// Expected time to the end, if the pieces to come are like those done.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        if self.position == 0 || self.total <= self.position {
            return None;
        }
        let pieces_left = (self.total - self.position) as f64;
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * pieces_left / self.position as f64).ok()
    }
}

/// `[  12.3 s] text`.
fn stamped(elapsed: Duration, text: &str) -> String {
    format!("[{:7.1} s] {text}", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(total: u64) -> (State, Instant) {
        let begun = Instant::now();
        (State { detail: String::new(), position: 0, total, begun, said: begun }, begun)
    }

    #[test]
    fn a_step_speaks_at_most_every_ten_seconds() {
        let (mut state, begun) = state(0);
        let table = [(1, false), (9, false), (10, true), (11, false), (19, false), (25, true)];
        for (second, want) in table {
            let now = begun + Duration::from_secs(second);
            let spoke = state.changed("title", now, |state| state.position += 1).is_some();
            assert_eq!(spoke, want, "second {second}");
        }
        assert_eq!(state.position, 6);
    }

    #[test]
    fn a_line_says_what_is_known() {
        let table = [
            ("", 0, 0, "title: 20.0 s"),
            ("linking", 0, 0, "title: linking, 20.0 s"),
            ("", 5, 0, "title: 5 done, 20.0 s"),
            ("a (1 of 2)", 5, 15, "title: a (1 of 2), 5 of 15, 20.0 s, about 40.0 s left"),
            ("", 0, 15, "title: 0 of 15, 20.0 s"),
            ("", 15, 15, "title: 15 of 15, 20.0 s"),
            ("", 16, 15, "title: 16 of 15, 20.0 s"),
        ];
        for (detail, position, total, want) in table {
            let (mut state, _) = state(total);
            detail.clone_into(&mut state.detail);
            state.position = position;
            assert_eq!(state.text("title", Duration::from_secs(20)), want);
        }
    }

    #[test]
    fn lines_are_stamped() {
        assert_eq!(stamped(Duration::from_millis(1250), "text"), "[    1.2 s] text");
        assert_eq!(stamped(Duration::from_secs(4000), "text"), "[ 4000.0 s] text");
    }
}
