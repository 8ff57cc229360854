//! Many containers at once, and runtimes that are killed at any point: nothing may be left.
//!
//! `WAMR_TEST_ROUNDS` makes them longer, `WAMR_TEST_PARALLEL` has more at once; `make stress` sets
//! both. Delays come from a seed: a failure names its round.

use super::container::{Container, wait_until};
use super::escapes::rounds;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// A generator that is good enough to spread delays.
struct Delays(u64);

impl Delays {
    /// The next delay, below `limit_us`.
    fn next(&mut self, limit_us: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        Duration::from_micros((self.0 >> 33) % limit_us)
    }
}

/// Whether a process is left in a group of the container `id`.
fn has_processes(id: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut groups = processes.map(|entry| fs::read_to_string(entry.path().join("cgroup")));
    groups.any(|text| text.is_ok_and(|text| text.contains(id)))
}

fn assert_nothing_left(container: &Container) {
    wait_until("its processes end", || !has_processes(&container.id));
    container.assert_gone();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&container.id), "a mount is left");
}

/// Does `act` with each of `containers`, all at the same time.
fn each(containers: &[Container], act: impl Fn(&Container) + Sync) {
    std::thread::scope(|scope| {
        for container in containers {
            scope.spawn(|| act(container));
        }
    });
}

#[test]
fn many_containers_at_once() {
    let named = std::env::var("WAMR_TEST_PARALLEL").ok();
    let most = named.map_or(24, |text| text.parse().expect("WAMR_TEST_PARALLEL is a number"));
    for at_once in [2, most] {
        let containers: Vec<_> =
            (0..at_once).map_while(|_| Container::shell("exec sleep 1000")).collect();
        each(&containers, |container| {
            let made = container.create(&[]);
            assert_eq!(made.status, 0, "{made:?}");
        });
        each(&containers, |container| drop(container.must(&["start"], &[])));
        each(&containers, |container| assert_eq!(container.status(), "running"));
        each(&containers, |container| drop(container.must(&["delete", "--force"], &[])));
        each(&containers, assert_nothing_left);
    }
}

/// The same without a pause between the verbs of a container, so that all verbs meet each other.
#[test]
fn lives_that_overlap() {
    let one = || {
        for _ in 0..rounds(4) / 4 {
            let Some(container) = Container::shell("exec sleep 1000") else { return };
            let made = container.create(&[]);
            assert_eq!(made.status, 0, "{made:?}");
            container.must(&["start"], &[]);
            assert_eq!(container.status(), "running");
            container.must(&["delete", "--force"], &[]);
            assert_nothing_left(&container);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(one);
        }
    });
}

/// Kills `verb` after a delay of up to `limit_us`, then cleans up twice.
fn killed(verb: &str, limit_us: u64) {
    let mut delays = Delays(2026);
    for round in 0..rounds(40) {
        let Some(container) = Container::shell("exec sleep 1000") else { return };
        container.write_config();
        let bundle = container.bundle.path().to_str().unwrap();
        let create = ["create", "--bundle", bundle, &container.id];
        let arguments = match verb {
            "create" => create.to_vec(),
            "start" => vec!["start", &container.id],
            _ => vec!["delete", "--force", &container.id],
        };
        if verb != "create" {
            assert_eq!(container.create(&[]).status, 0);
        }
        let mut command = container.command(&arguments);
        let mut victim = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delays.next(limit_us));
        victim.kill().unwrap();
        victim.wait().unwrap();
        for _ in 0..2 {
            let cleaned = container.verb(&["delete", "--force"], &[]);
            assert_eq!(cleaned.status, 0, "{verb}, round {round}: {cleaned:?}");
        }
        println!("{verb}, round {round}");
        assert_nothing_left(&container);
    }
}

#[test]
fn a_create_that_is_killed_leaves_nothing() {
    killed("create", 60_000);
}

#[test]
fn a_start_that_is_killed_leaves_nothing() {
    killed("start", 8_000);
}

#[test]
fn a_delete_that_is_killed_leaves_nothing() {
    killed("delete", 20_000);
}
