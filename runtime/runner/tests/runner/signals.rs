//! A container stops when it is told to, blocked or spinning, as PID 1 or not.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Handover, Running, module, plan};

const STOP: [(Signal, i32); 4] =
    [(Signal::SIGHUP, 129), (Signal::SIGINT, 130), (Signal::SIGQUIT, 131), (Signal::SIGTERM, 143)];

/// What the guest does until the signal comes.
const WAITS: [(&str, &str); 2] = [("sleeping", "(call $sleep)"), ("spinning", "")];

/// Starts the guest and waits for its first line, so that every handler is in place.
fn start(wrapper: &[&str], wait: &str) -> Running {
    let handover = Handover::new(&module("forever", &[("WAIT", wait)]), plan());
    let mut command = handover.command(wrapper);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("the runner starts"));
    let mut line = String::new();
    let stdout = running.0.stdout.as_mut().expect("a pipe was asked for");
    BufReader::new(stdout).read_line(&mut line).expect("the guest writes");
    assert_eq!(line, "ready\n");
    running
}

/// Sends the signal; the exit status, or nothing if the guest lives on for far too long.
fn stop(running: &mut Running, target: u32, signal: Signal) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    kill(Pid::from_raw(target as i32), signal).expect("the runner is there");
    while Instant::now() < deadline {
        if let Some(status) = running.0.try_wait().expect("a child of this process") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

#[test]
fn stop_signals_end_the_guest() {
    for (state, wait) in WAITS {
        for (signal, want) in STOP {
            let mut child = start(&[], wait);
            let target = child.0.id();
            assert_eq!(stop(&mut child, target, signal), Some(want), "{signal} while {state}");
        }
    }
}

#[test]
fn stop_signals_end_the_guest_as_pid_1() {
    if !wamr_testing::is_root() {
        return;
    }
    for (state, wait) in WAITS {
        for (signal, want) in STOP {
            let mut child = start(&["unshare", "--pid", "--fork", "--kill-child"], wait);
            let unshare = child.0.id();
            let children = format!("/proc/{unshare}/task/{unshare}/children");
            let inside = std::fs::read_to_string(children).expect("procfs is mounted");
            let target = inside.trim().parse().expect("unshare has one child");
            let status = std::fs::read_to_string(format!("/proc/{target}/status"));
            let status = status.expect("the runner is there");
            assert!(status.lines().any(|l| l.starts_with("NSpid:") && l.ends_with("\t1")));
            assert_eq!(stop(&mut child, target, signal), Some(want), "{signal} while {state}");
        }
    }
}

/// A caller may leave signals blocked (signalfd) or ignored (nohup); exec keeps both.
#[test]
fn a_blocked_and_ignored_signal_still_stops_the_guest() {
    let wrapper = ["env", "--block-signal=TERM", "--ignore-signal=TERM"];
    let mut child = start(&wrapper, "(call $sleep)");
    let target = child.0.id();
    assert_eq!(stop(&mut child, target, Signal::SIGTERM), Some(143));
}

#[test]
fn the_process_carries_the_name_of_the_guest() {
    let mut child = start(&[], "(call $sleep)");
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", child.0.id())).expect("procfs");
    let target = child.0.id();
    stop(&mut child, target, Signal::SIGTERM);
    assert_eq!(comm, "guest.wasm\n");
}
