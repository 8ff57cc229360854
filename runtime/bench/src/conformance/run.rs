//! Runs the validation programs of opencontainers/runtime-tools, each with each runtime.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::record::{End, Outcome, Results, Verdict, judge};
use crate::peers::Peer;
use crate::tap;

/// Where the programs, `runtimetest` and the root's archive lie inside the arena.
pub const SUITE: &str = "/opt/wamr/validation";
const POLL: Duration = Duration::from_millis(20);
/// A program that failed for `wamr-crun` is run this often; several of them race with the runtime.
const TRIES: u32 = 3;

/// How a run is done.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A program that takes longer is killed and counts as failed.
    pub time_s: u64,
    /// How many programs run at once; they mostly wait.
    pub jobs: usize,
}

/// Runs all programs of [`SUITE`] with `peers`.
///
/// # Errors
/// The suite is not there.
pub fn run(peers: &[Peer], limits: Limits, suite: String) -> Result<Results> {
    let names = names()?;
    // Programs that use one fixed control group stay in one lane, the others are shared out.
    let (grouped, free): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|name| name.starts_with("linux_cgroups_") || name.contains("_resources"));
    let pairs = |names: &[&String]| -> Vec<(String, Peer)> {
        let each = names.iter().flat_map(|name| peers.iter().map(move |peer| (*name, peer)));
        each.map(|(name, peer)| (name.clone(), peer.clone())).collect()
    };
    let queue = Mutex::new(pairs(&free));
    let lane = Mutex::new(pairs(&grouped));
    let tests = Mutex::new(BTreeMap::<String, BTreeMap<String, Outcome>>::new());
    let work = |queue: &Mutex<Vec<(String, Peer)>>| {
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.pop());
            let Some((name, peer)) = next else { return };
            let outcome = several(&name, &peer, limits);
            eprintln!("{:9} {name}: {:?}", peer.name, outcome.verdict);
            if let Ok(mut tests) = tests.lock() {
                tests.entry(name).or_default().insert(peer.name.to_owned(), outcome);
            }
        }
    };
    scope(|scope| {
        scope.spawn(|| work(&lane));
        for _ in 1..limits.jobs.max(2) {
            scope.spawn(|| work(&queue));
        }
    });
    let runtimes: Result<_> =
        peers.iter().map(|peer| Ok((peer.name.to_owned(), peer.version()?))).collect();
    let tests = tests.into_inner().map_err(|_| miette!("a thread of the run panicked"))?;
    Ok(Results { suite, machine: machine()?, runtimes: runtimes?, tests })
}

fn names() -> Result<Vec<String>> {
    let directory = Path::new(SUITE).join("bin");
    let entries = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries
        .into_diagnostic()
        .wrap_err_with(|| format!("list {}: make conformance builds it", directory.display()))?;
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// The kernel's release and which cgroup version there is.
///
/// # Errors
/// Those of the system.
pub fn machine() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").into_diagnostic()?;
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    Ok(format!("Linux {}, cgroup {}", release.trim(), if v2 { "v2" } else { "v1" }))
}

/// The best of a few runs: a race that is lost once does not count against a runtime.
fn several(name: &str, peer: &Peer, limits: Limits) -> Outcome {
    let mut best = once(name, peer, limits);
    for _ in 1..TRIES {
        let hung = best.broke.as_deref().is_some_and(|why| why.starts_with("no end"));
        if best.verdict != Verdict::Fail || hung {
            break;
        }
        let again = once(name, peer, limits);
        if again.verdict != Verdict::Fail || again.passed > best.passed {
            best = again;
        }
    }
    best
}

fn once(name: &str, peer: &Peer, limits: Limits) -> Outcome {
    match execute(name, peer, limits) {
        Ok(outcome) => outcome,
        Err(error) => judge(tap::Report::default(), End::Exit(-1), &error.to_string()),
    }
}

fn execute(name: &str, peer: &Peer, limits: Limits) -> io::Result<Outcome> {
    let logs = Path::new("/tmp").join(format!("{}-{name}", peer.name));
    fs::create_dir_all(&logs)?;
    let (out, err) = (logs.join("out"), logs.join("err"));
    let mut child = Command::new(Path::new(SUITE).join("bin").join(name))
        .current_dir(SUITE)
        .env("RUNTIME", &peer.program)
        .env("TMPDIR", &logs)
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .process_group(0)
        .spawn()?;
    let end = watch(&mut child, limits.time_s)?;
    let report = tap::parse(&String::from_utf8_lossy(&fs::read(out)?));
    let last = fs::read(err)?;
    let last = String::from_utf8_lossy(&last);
    let outcome = judge(report, end, &last_words(&last));
    // What the program left stays until the arena ends: a runtime without a mount namespace may
    // have mounted the kernel's own file systems there, and those are not to be emptied.
    Ok(outcome)
}

/// Waits for a child that leads a process group; one that takes longer than `limit_s` is killed
/// with its group.
///
/// # Errors
/// Those of the system.
pub fn watch(child: &mut Child, limit_s: u64) -> io::Result<End> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Exit(status.code().unwrap_or(-1)));
        }
        if begin.elapsed() > Duration::from_secs(limit_s) {
            // Its children are in its group; it is our child, so the group still exists.
            killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL)?;
            child.wait()?;
            return Ok(End::TimedOut(limit_s));
        }
        sleep(POLL);
    }
}

/// The last lines of a program's stderr that say something, in one.
fn last_words(stderr: &str) -> String {
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("exit status");
    let lines: Vec<_> = stderr.lines().filter(said).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}
