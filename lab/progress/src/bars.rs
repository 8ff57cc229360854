//! The terminal: a bar or a spinner for each step under way, a line for each that has ended.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// All bars of a command.
#[derive(Debug, Clone)]
pub struct Bars {
    all: MultiProgress,
    colored: bool,
}

/// The bar of one step.
#[derive(Debug)]
pub struct Bar {
    title: String,
    begun: Instant,
    shown: ProgressBar,
    bars: Bars,
}

impl Bars {
    /// Bars on standard error.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let colored = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
        Self { all, colored }
    }

    /// A new bar below the others; a spinner if `total` is 0.
    pub fn add(&self, title: &str, total: u64) -> Bar {
        let shown = self.all.add(ProgressBar::no_length().with_prefix(title.to_owned()));
        let begun = Instant::now();
        let bar = Bar { title: title.to_owned(), begun, shown, bars: self.clone() };
        bar.set_total(total);
        bar.shown.enable_steady_tick(TICK);
        bar
    }

    /// A line above the bars.
    pub fn line(&self, text: &str) {
        self.all.suspend(|| anstream::eprintln!("{text}"));
    }
}

impl Bar {
    pub fn set(&self, detail: &str) {
        self.shown.set_message(detail.to_owned());
    }

    pub fn set_total(&self, total: u64) {
        if total > 0 {
            self.shown.set_length(total);
        }
        self.shown.set_style(style(template(total > 0, self.bars.colored)));
    }

    pub fn advance(&self, count: u64) {
        self.shown.inc(count);
    }

    pub fn set_position(&self, position: u64) {
        self.shown.set_position(position.max(self.shown.position()));
    }

    /// Leaves one line in place of the bar.
    pub fn end(&self, good: bool, detail: &str) {
        self.shown.finish_and_clear();
        let (sign, color) = if good { ("✓", AnsiColor::Green) } else { ("✗", AnsiColor::Red) };
        let bold = Style::new().fg_color(Some(color.into())).bold();
        let dim = Style::new().dimmed();
        let took = crate::in_words(self.begun.elapsed());
        let title = &self.title;
        self.bars.line(&format!("{bold}{sign}{bold:#} {title}: {detail} {dim}({took}){dim:#}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.shown.finish_and_clear();
    }
}

fn template(counted: bool, colored: bool) -> &'static str {
    match (counted, colored) {
        (true, true) => {
            "{spinner:.cyan} {prefix:.bold} {bar:12.cyan/dim} {pos}/{len} \
             {elapsed}{left} {wide_msg:.dim}"
        }
        (true, false) => "{spinner} {prefix} {bar:12} {pos}/{len} {elapsed}{left} {wide_msg}",
        (false, true) => "{spinner:.cyan} {prefix:.bold} {elapsed} {wide_msg:.dim}",
        (false, false) => "{spinner} {prefix} {elapsed} {wide_msg}",
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and a test parses all four.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            // Before the first piece is done, the expectation would be 0 s. Nothing can be done
            // about a terminal that takes no text.
            if state.pos() > 0 && state.len().is_some_and(|len| state.pos() < len) {
                write!(out, " ({:#} left)", HumanDuration(state.eta())).ok();
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for (counted, colored) in [(true, true), (true, false), (false, true), (false, false)] {
            let text = template(counted, colored);
            assert_eq!(text.contains("{left}"), counted, "{text}");
            assert!(ProgressStyle::with_template(text).is_ok(), "{text}");
            assert_eq!(text.contains("{pos}"), counted, "{text}");
            assert_eq!(text.contains("cyan"), colored, "{text}");
        }
    }

    #[test]
    fn a_position_never_goes_back() {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let bar = Bars { all, colored: false }.add("title", 10);
        bar.set_position(6);
        bar.set_position(2);
        assert_eq!(bar.shown.position(), 6);
        bar.advance(1);
        assert_eq!(bar.shown.position(), 7);
        bar.set_total(20);
        assert_eq!(bar.shown.length(), Some(20));
    }
}
