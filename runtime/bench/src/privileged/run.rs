//! Runs each privileged test in a process of its own, with each runtime.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::scope;

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use super::record::{Differences, NOT_RUN, Outcome, Results, Suite, judge};
use crate::conformance::record::End;
use crate::conformance::run::{Limits, machine, watch};
use crate::peers::Peer;

/// The test program and the busybox of its containers, inside the arena.
const PROGRAM: &str = "/tmp/privileged";
const BUSYBOX: &str = "/tmp/busybox";
/// A factor on the tests' deadlines: what hangs is ended by [`Limits`], what is slow is not wrong.
const PATIENCE: &str = "3";

/// What comes from the host.
pub struct Given<'a> {
    /// The tests.
    pub program: &'a [u8],
    /// A static busybox.
    pub busybox: &'a [u8],
    /// What is in the names of tests that are wanted.
    pub only: &'a str,
    /// Which of them harm the run.
    pub expected: &'a Differences,
}

/// Runs the tests with `peers`.
///
/// # Errors
/// The tests cannot be listed.
pub fn run(peers: &[Peer], limits: Limits, given: &Given<'_>) -> Result<Results> {
    for (path, content) in [(PROGRAM, given.program), (BUSYBOX, given.busybox)] {
        fs::write(path, content)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .into_diagnostic()
            .wrap_err_with(|| format!("write {path}"))?;
    }
    let mut names = names()?;
    names.retain(|name| name.contains(given.only));
    let mut runtimes = BTreeMap::new();
    for peer in peers {
        let suite = Suite { version: peer.version()?, ..Suite::default() };
        let listed = given.expected.get(peer.name);
        let not_run =
            |name: &str| listed.and_then(|tests| tests.get(name)).is_some_and(|test| test.not_run);
        let (queue, found) = (Mutex::new(names.clone()), Mutex::new(suite));
        scope(|scope| {
            for _ in 0..limits.jobs.max(1) {
                scope.spawn(|| {
                    while let Some(name) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                        let outcome = if not_run(&name) {
                            Outcome::Fail(NOT_RUN.to_owned())
                        } else {
                            once(&name, peer, limits)
                        };
                        if let Outcome::Fail(said) = &outcome {
                            eprintln!("{} fails {name}: {said}", peer.name);
                        }
                        if let Ok(mut found) = found.lock() {
                            found.add(name, outcome);
                        }
                    }
                });
            }
        });
        thaw(Path::new("/sys/fs/cgroup/freezer"));
        let suite = found.into_inner().map_err(|_| miette!("a thread of the run panicked"))?;
        runtimes.insert(peer.name.to_owned(), suite);
    }
    Ok(Results { machine: machine()?, runtimes })
}

/// Thaws what a runtime has left frozen: on cgroup v1 not even SIGKILL ends that, and the arena
/// would never be left.
///
/// A container freezes groups of its own, too, so all below `group` are thawed.
fn thaw(group: &Path) {
    let groups = fs::read_dir(group).into_iter().flatten().flatten();
    for group in groups.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        // It may have gone meanwhile.
        drop(fs::write(group.join("freezer.state"), "THAWED"));
        thaw(&group);
    }
}

fn names() -> Result<Vec<String>> {
    let output = Command::new(PROGRAM).arg("--list").output();
    let output = output.into_diagnostic().wrap_err("list the privileged tests")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<_> =
        text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(miette!("the program of --tests lists no tests: {output:?}"));
    }
    Ok(names)
}

fn once(name: &str, peer: &Peer, limits: Limits) -> Outcome {
    execute(name, peer, limits).unwrap_or_else(|error| Outcome::Fail(error.to_string()))
}

fn execute(name: &str, peer: &Peer, limits: Limits) -> io::Result<Outcome> {
    let place = Path::new("/tmp").join(peer.name).join(name.replace("::", "-"));
    fs::create_dir_all(&place)?;
    let log = place.join("log");
    let mut child = Command::new(PROGRAM)
        .args(["--exact", name, "--show-output", "--test-threads=1"])
        .current_dir(&place)
        .env("WAMR_TEST_RUNTIME", &peer.program)
        .env("WAMR_TEST_BUSYBOX", BUSYBOX)
        .env("WAMR_TEST_PATIENCE", PATIENCE)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(File::create(&log)?)
        .stderr(File::create(place.join("errors"))?)
        .process_group(0)
        .spawn()?;
    Ok(match watch(&mut child, limits.time_s)? {
        End::TimedOut(after_s) => Outcome::Fail(format!("no end within {after_s} s")),
        End::Exit(status) => judge(status == 0, &fs::read_to_string(log)?),
    })
}
