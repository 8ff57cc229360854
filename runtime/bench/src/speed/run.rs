//! The rounds: in each, every runtime once per kind, in an order drawn from the seed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::sys::resource::{UsageWho, getrusage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Count, Kind, Sample, bundle, count};
use crate::peers::Peer;
use crate::stats::shuffled;

/// How long a killed container may take to go.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_micros(500);

/// How many rounds, in which order.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Rounds that are written.
    pub rounds: u32,
    /// Rounds before them.
    pub warm_up: u32,
    /// Rounds after them, in which system calls are counted and nothing is timed.
    pub counted: u32,
    /// Of the order.
    pub seed: u64,
    /// What runs wamr-crun's Wasm containers, as the annotation has it.
    pub engine: &'a str,
}

/// Without these there is nothing to compare.
const REQUIRED: [&str; 2] = ["wamr-crun", "crun"];

/// Runs all rounds; `busybox` is the content of a static one.
///
/// A runtime that cannot make the container at all is left out, and said to be.
///
/// # Errors
/// A runtime fails later, or is one that all others are compared with.
pub fn run(peers: &[Peer], plan: Plan<'_>, busybox: &[u8]) -> Result<(Vec<Sample>, Vec<Count>)> {
    let mut cells = Vec::new();
    for peer in peers {
        let version = peer.version()?;
        for kind in [Kind::Native, Kind::Wasm] {
            if kind == Kind::Wasm && peer.wasm.is_none() {
                continue;
            }
            let directory = PathBuf::from(format!("/tmp/{}-{kind:?}", peer.name));
            bundle::write(&directory, kind, peer.wasm, plan.engine, busybox)?;
            cells.push(Cell { peer, version: version.clone(), kind, directory });
        }
    }
    let cells = able(cells)?;
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut samples = Vec::new();
    for round in 0..plan.warm_up + plan.rounds {
        for (place, index) in shuffled(cells.len(), &mut random).into_iter().enumerate() {
            let taken = cells[index].timed(round.saturating_sub(plan.warm_up), place as u32)?;
            if round >= plan.warm_up {
                samples.extend(taken);
            }
        }
    }
    let mut counts = Vec::new();
    for round in 0..plan.counted {
        for cell in &cells {
            counts.extend(cell.counted(round)?);
        }
    }
    Ok((samples, counts))
}

/// The cells that come through one container's life.
fn able(cells: Vec<Cell>) -> Result<Vec<Cell>> {
    let mut able = Vec::new();
    for cell in cells {
        match cell.timed(0, 0) {
            Ok(_) => able.push(cell),
            Err(error) if REQUIRED.contains(&cell.peer.name) => return Err(error),
            Err(error) => {
                eprintln!("left out: {} ({}): {error}", cell.peer.name, cell.kind.shown());
                cell.clean()?;
            }
        }
    }
    Ok(able)
}

struct Cell<'a> {
    peer: &'a Peer,
    version: String,
    kind: Kind,
    directory: PathBuf,
}

/// What one verb took.
struct Used {
    wall_ns: u64,
    cpu_us: u64,
    minor_faults: u64,
}

impl Cell<'_> {
    fn timed(&self, round: u32, place: u32) -> Result<Vec<Sample>> {
        let id = format!("bench-{round}-{place}");
        let taken = self.once(&id, |arguments, stdin| self.time(arguments, stdin))?;
        let sample = |(verb, used): (String, Used)| Sample {
            round,
            place,
            runtime: self.peer.name.to_owned(),
            version: self.version.clone(),
            kind: self.kind,
            verb,
            wall_ns: used.wall_ns,
            cpu_us: used.cpu_us,
            minor_faults: used.minor_faults,
        };
        Ok(taken.into_iter().map(sample).collect())
    }

    /// Removes what a first try left, as far as the runtime can.
    fn clean(&self) -> Result<()> {
        let mut command = Command::new(&self.peer.program);
        command.args(["delete", "--force", "bench-0-0"]).stderr(Stdio::null());
        command.status().into_diagnostic().map(drop)
    }

    fn counted(&self, round: u32) -> Result<Vec<Count>> {
        let id = format!("bench-counted-{round}");
        let taken = self.once(&id, |arguments, stdin| self.count(arguments, stdin))?;
        let count = |(verb, syscalls): (String, u64)| Count {
            round,
            runtime: self.peer.name.to_owned(),
            version: self.version.clone(),
            kind: self.kind,
            verb,
            syscalls,
        };
        Ok(taken.into_iter().map(count).collect())
    }

    /// The life of one container; `each` makes every call of the runtime.
    fn once<T>(
        &self,
        id: &str,
        each: impl Fn(&[&str], Stdio) -> Result<T>,
    ) -> Result<Vec<(String, T)>> {
        let (pid_file, bundle) = (self.directory.join("pid"), &self.directory);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (pid_path, bundle) = (text(&pid_file), text(bundle));
        // Never written to: the guest waits for it. Open until the container is gone.
        let (stdin, _held) = std::io::pipe().into_diagnostic()?;
        let create = ["create", "--bundle", &bundle, "--pid-file", &pid_path, id];
        let mut taken = Vec::new();
        for arguments in [&create[..], &["start", id], &["kill", id, "KILL"], &["delete", id]] {
            if arguments[0] == "delete" {
                wait_gone(&pid_file)?;
            }
            let input = stdin.try_clone().into_diagnostic()?;
            taken.push((arguments[0].to_owned(), each(arguments, input.into())?));
        }
        Ok(taken)
    }

    fn time(&self, arguments: &[&str], stdin: Stdio) -> Result<Used> {
        let mut command = Command::new(&self.peer.program);
        command.args(arguments).stdin(stdin);
        let before = used()?;
        let wall_ns = self.done(command)?;
        let after = used()?;
        Ok(Used { wall_ns, cpu_us: after.0 - before.0, minor_faults: after.1 - before.1 })
    }

    fn count(&self, arguments: &[&str], stdin: Stdio) -> Result<u64> {
        let out = self.directory.join("count");
        let mut command = Command::new("/proc/self/exe");
        command.arg(count::COUNT).arg(&out).arg("--").arg(&self.peer.program);
        command.args(arguments).stdin(stdin);
        self.done(command)?;
        let text = fs::read_to_string(&out).into_diagnostic().wrap_err("read the count")?;
        text.parse().into_diagnostic()
    }

    /// Runs a command that must succeed; its duration in ns.
    fn done(&self, mut command: Command) -> Result<u64> {
        let log = self.directory.join("log");
        let output = File::create(&log).into_diagnostic()?;
        let errors = output.try_clone().into_diagnostic()?;
        command.stdout(output).stderr(errors);
        let begin = Instant::now();
        let status = command.status().into_diagnostic()?;
        let wall_ns = begin.elapsed().as_nanos() as u64;
        if !status.success() {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(miette!("{}: {command:?}: {said}", self.peer.name));
        }
        Ok(wall_ns)
    }
}

/// Processor time in microseconds and minor page faults of all children waited for so far.
fn used() -> Result<(u64, u64)> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).into_diagnostic()?;
    let time =
        |value: nix::sys::time::TimeVal| value.tv_sec() as u64 * 1_000_000 + value.tv_usec() as u64;
    Ok((time(usage.user_time()) + time(usage.system_time()), usage.minor_page_faults() as u64))
}

/// Waits until the process in `pid_file` is gone or a zombie.
fn wait_gone(pid_file: &Path) -> Result<()> {
    let text = fs::read_to_string(pid_file).into_diagnostic().wrap_err("read the pid file")?;
    let stat = Path::new("/proc").join(text.trim()).join("stat");
    let begin = Instant::now();
    while let Ok(line) = fs::read_to_string(&stat) {
        if line.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            break;
        }
        if begin.elapsed() > KILL_PATIENCE {
            return Err(miette!("process {} outlives SIGKILL", text.trim()));
        }
        sleep(POLL);
    }
    Ok(())
}
