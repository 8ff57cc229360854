//! The rounds: in each, every engine once per program, in an order drawn from the seed.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::engine::{self, COLD, COMPILED, ENGINES, Engine, INTERPRETED, NATIVE, chosen};
use super::program::{Kind, Program, named};
use super::{LeftOut, Sample};
use crate::peers::version;
use crate::stats::shuffled;

/// How many rounds, of what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds.
    pub rounds: u32,
    /// What one program with one engine may take in all, beyond [`ENOUGH`] rounds: an engine that
    /// is fifty times slower would take most of the time, and needs the fewest rounds.
    pub budget: Duration,
    /// Of the order.
    pub seed: u64,
    /// How long one run may take.
    pub limit: Duration,
    /// Names of programs; none: all.
    pub programs: Vec<String>,
    /// Names of engines; none: all.
    pub engines: Vec<String>,
}

/// Without these there is nothing to compare.
const REQUIRED: [&str; 3] = [NATIVE, COMPILED, INTERPRETED];

/// Rounds that everything takes part in.
const ENOUGH: u32 = 5;

/// Where samples go after each round: a run that is broken off has not been for nothing.
pub type Keep<'a> = dyn Fn(&[Sample], &[LeftOut]) -> Result<()> + 'a;

/// Runs everything once to see what can, then all rounds.
///
/// # Errors
/// A run fails that came through before, or one of ours at all.
pub fn run(plan: &Plan, keep: &Keep) -> Result<()> {
    let (mut cells, mut left_out) = cells(plan)?;
    cells.retain(|cell| match cell.once("first", plan.limit) {
        Ok(taken) => {
            let whole_ms = taken.wall_ns / 1_000_000;
            eprintln!("{} by {}: {whole_ms} ms", cell.program.name, cell.engine.name);
            true
        }
        Err(error) => {
            eprintln!("left out: {} by {}: {error}", cell.program.name, cell.engine.name);
            left_out.push(cell.left_out(&error.to_string()));
            false
        }
    });
    if let Some(one) = left_out.iter().find(|one| REQUIRED.contains(&one.engine.as_str())) {
        return Err(miette!("{} by {}: {}", one.program, one.engine, one.reason));
    }
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let (mut samples, mut used) = (Vec::new(), vec![Duration::ZERO; cells.len()]);
    for round in 0..plan.rounds {
        for (place, index) in shuffled(cells.len(), &mut random).into_iter().enumerate() {
            let cell = &cells[index];
            if round >= ENOUGH && used[index] > plan.budget {
                continue;
            }
            let taken = cell.once(&format!("{round}-{place}"), plan.limit)?;
            used[index] += Duration::from_nanos(taken.wall_ns);
            samples.push(cell.sample(round, place as u32, &taken));
        }
        keep(&samples, &left_out)?;
        eprintln!("round {} of {}", round + 1, plan.rounds);
    }
    Ok(())
}

/// One program with one engine.
struct Cell {
    program: &'static Program,
    engine: &'static Engine,
    version: String,
    bundle: PathBuf,
}

/// What one run took.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    wall_ns: u64,
    first_output_ns: u64,
    said: Said,
}

/// What a program prints of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    duration_ns: u64,
    checksum: String,
}

fn cells(plan: &Plan) -> Result<(Vec<Cell>, Vec<LeftOut>)> {
    let (mut cells, mut left_out) = (Vec::new(), Vec::new());
    for engine in chosen(&plan.engines)? {
        let runtime = engine.runtime();
        if !runtime.exists() {
            let reason = format!("{} is not there", runtime.display());
            left_out.push(LeftOut { program: String::new(), engine: engine.name.into(), reason });
            continue;
        }
        let version = version(&runtime)?;
        for program in named(&plan.programs)? {
            let Some(words) = program.command(engine.side) else { continue };
            // What compiling takes is the question of real programs.
            if engine.name == COLD && program.kind == Kind::Kernel {
                continue;
            }
            let bundle = PathBuf::from(format!("/tmp/compute/{}-{}", program.name, engine.name));
            engine.write_bundle(program, &words, &bundle)?;
            cells.push(Cell { program, engine, version: version.clone(), bundle });
        }
    }
    if cells.is_empty() {
        return Err(miette!("nothing is to be run: look at --programs and --engines"));
    }
    Ok((cells, left_out))
}

impl Cell {
    fn left_out(&self, reason: &str) -> LeftOut {
        LeftOut {
            program: self.program.name.to_owned(),
            engine: self.engine.name.to_owned(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        }
    }

    fn sample(&self, round: u32, place: u32, taken: &Taken) -> Sample {
        Sample {
            round,
            place,
            program: self.program.name.to_owned(),
            engine: self.engine.name.to_owned(),
            version: self.version.clone(),
            wall_ns: taken.wall_ns,
            first_output_ns: taken.first_output_ns,
            duration_ns: taken.said.duration_ns,
        }
    }

    fn once(&self, id: &str, limit: Duration) -> Result<Taken> {
        let id = format!("compute-{id}");
        if self.engine.cold {
            match fs::remove_dir_all(self.engine.cache()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).into_diagnostic().wrap_err("empty the cache");
                }
                _ => {}
            }
        }
        let errors = self.bundle.join("errors");
        let mut command = Command::new(self.engine.runtime());
        command.arg("run").arg("--bundle").arg(&self.bundle).arg(&id);
        command.env("WAMR_CRUN_COMPILED", self.engine.cache());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&errors).into_diagnostic()?);
        let begin = Instant::now();
        let mut child = command.spawn().into_diagnostic().wrap_err("start the runtime")?;
        let (first_output_ns, text) = match read_until(&mut child, begin, limit) {
            Ok(read) => read,
            Err(error) => {
                self.remove(&id, &mut child)?;
                return Err(error);
            }
        };
        let status = child.wait().into_diagnostic()?;
        let wall_ns = begin.elapsed().as_nanos() as u64;
        let words = || fs::read_to_string(&errors).unwrap_or_default().trim().to_owned();
        if !status.success() {
            return Err(miette!("{status}: {}", words()));
        }
        let said = parse(&text).ok_or_else(|| miette!("it printed {text:?}: {}", words()))?;
        self.check(&said)?;
        Ok(Taken { wall_ns, first_output_ns, said })
    }

    /// Whether the program came to the result that it came to before, whoever ran it.
    fn check(&self, said: &Said) -> Result<()> {
        let known = PathBuf::from(format!("/tmp/compute/{}.checksum", self.program.name));
        let Ok(before) = fs::read_to_string(&known) else {
            return fs::write(known, &said.checksum).into_diagnostic();
        };
        if before == said.checksum {
            return Ok(());
        }
        Err(miette!("it printed the checksum {}, not {before}", said.checksum))
    }

    /// Ends a container that takes too long.
    fn remove(&self, id: &str, child: &mut Child) -> Result<()> {
        let mut delete = Command::new(self.engine.runtime());
        delete.args(["delete", "--force", id]).stderr(Stdio::null());
        delete.status().into_diagnostic()?;
        child.kill().and_then(|()| child.wait()).into_diagnostic().map(drop)
    }
}

/// Reads all that a program prints; when the first of it came.
fn read_until(child: &mut Child, begin: Instant, limit: Duration) -> Result<(u64, String)> {
    let mut stdout = child.stdout.take().ok_or_else(|| miette!("there is no pipe"))?;
    let (mut first_output_ns, mut text) = (None, Vec::new());
    let mut buffer = [0; 4096];
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        if poll(&mut polled, wait).into_diagnostic()? == 0 {
            return Err(miette!("it takes longer than {} s", limit.as_secs()));
        }
        let count = stdout.read(&mut buffer).into_diagnostic()?;
        if count == 0 {
            break;
        }
        first_output_ns.get_or_insert_with(|| begin.elapsed().as_nanos() as u64);
        text.extend_from_slice(&buffer[..count]);
    }
    Ok((first_output_ns.unwrap_or_default(), String::from_utf8_lossy(&text).into_owned()))
}

fn parse(text: &str) -> Option<Said> {
    let value = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    Some(Said {
        duration_ns: value("duration_ns=")?.parse().ok()?,
        checksum: value("checksum=")?.to_owned(),
    })
}

/// Has the runtime compile what is missing, before anything is timed: the cache is warm.
///
/// # Errors
/// A module cannot be compiled.
pub fn warm(programs: &[&Program]) -> Result<()> {
    let Some(compiled) = ENGINES.iter().find(|it| it.name == COMPILED) else { return Ok(()) };
    let mut command = Command::new(compiled.runtime());
    command.args(["cache", "warm"]).env("WAMR_CRUN_COMPILED", compiled.cache());
    let made = Path::new(engine::PROGRAMS);
    command.args(programs.iter().map(|it| made.join(it.name).join("wasm/program.wasm")));
    let output = command.output().into_diagnostic().wrap_err("start wamr-crun")?;
    if output.status.success() {
        return Ok(());
    }
    Err(miette!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_read_whatever_comes_with_it() {
        for (text, want) in [
            ("start_ns=1\nduration_ns=7\nchecksum=0a\n", Some((7, "0a"))),
            ("start_ns=1\nchecksum=0a\r\nduration_ns=7\r\n", Some((7, "0a"))),
            ("duration_ns=7\n", None),
            ("duration_ns=-7\nchecksum=0a\n", None),
            ("", None),
        ] {
            let got = parse(text);
            let got = got.as_ref().map(|said| (said.duration_ns, said.checksum.as_str()));
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn a_program_that_takes_too_long_is_not_waited_for() {
        let sleeping = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).stdout(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut child = sleeping("echo a; exec sleep 1000");
        let error = read_until(&mut child, Instant::now(), Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("longer"), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut child = sleeping("echo a; echo b");
        let (first, text) =
            read_until(&mut child, Instant::now(), Duration::from_mins(10)).unwrap();
        assert_eq!(text, "a\nb\n");
        assert!(first > 0 && child.wait().unwrap().success());
    }
}
