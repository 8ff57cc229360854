//! `events`: what happens to a container and what it uses, as lines of JSON in runc's shape.

use crate::cgroup::oom::Watch;
use crate::cgroup::stats;
use crate::cli::{Events, Global};
use crate::compiled;
use crate::container::{self, Container, Status};
use crate::error::{Act, Error, Result};
use crate::sys::process::pidfd_open;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Prints events until the container ends; with `--stats`, once what it uses now.
///
/// # Errors
/// [`Error::Missing`]; [`Error::NotRunning`]; [`Error::Usage`]: a wrong interval.
pub fn events(global: &Global, flags: &Events) -> Result<()> {
    let interval = parse_interval(&flags.interval)?;
    let container = Container::new(&global.root, &flags.id)?;
    let state = container.state()?;
    if container.status(&state) == Status::Stopped {
        return Err(Error::NotRunning(container.id));
    }
    let print_stats = || {
        let mut event =
            json!({"type": "stats", "id": state.id, "data": stats::read(&state.cgroup)});
        // Beside what runc prints; a native container has none.
        if let Some(engine) = compiled::engine_of(state.pid) {
            event["engine"] = json!(engine);
        }
        print(&event)
    };
    if flags.stats {
        return print_stats();
    }
    let init = pidfd_open(state.pid).map_err(|_| Error::NotRunning(state.id.clone()))?;
    if !container::is_alive(state.pid, state.start_ticks) {
        return Err(Error::NotRunning(container.id));
    }
    let mut watch = Watch::new(&state.cgroup)?;
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        // Rounded up: a wait of 0 ms would spin through the last one.
        let wait = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let mut polled = vec![PollFd::new(init.as_fd(), PollFlags::POLLIN)];
        polled.extend(watch.as_ref().map(|watch| PollFd::new(watch.as_fd(), watch.flags())));
        poll(&mut polled, wait).act(|| "wait for events".to_owned())?;
        let ended = polled[0].any() == Some(true);
        if let Some(watch) = &mut watch
            && watch.has_fired()
        {
            print(&json!({"type": "oom", "id": state.id}))?;
        }
        if ended {
            return Ok(());
        }
        if Instant::now() >= next {
            print_stats()?;
            next += interval;
        }
    }
}

fn print(event: &serde_json::Value) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{event}").and_then(|()| out.flush()).act(|| "write to stdout".to_owned())
}

/// A duration as Go prints them, of one part: `5s`, `500ms`, `1.5m`.
fn parse_interval(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::Usage(format!("--interval {text:?} is no duration above 0: write it as 5s or 500ms"))
    };
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_s = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * unit_s;
    let interval = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if interval < Duration::from_millis(1) { Err(wrong()) } else { Ok(interval) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (text, want_ms) in [
            ("5s", Some(5000)),
            ("500ms", Some(500)),
            ("1.5m", Some(90_000)),
            ("0s", None),
            ("5", None),
            ("-1s", None),
            ("s", None),
            ("99999999999999999999h", None),
            ("1..2s", None),
        ] {
            let got = parse_interval(text).ok().map(|interval| interval.as_millis());
            assert_eq!(got, want_ms, "{text}");
        }
    }
}
