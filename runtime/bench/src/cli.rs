//! The command line as data, and which function serves it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use miette::{IntoDiagnostic, Result, WrapErr};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arena::{self, Arena};
use crate::compute;
use crate::compute::cli::{BuildArgs, ComputeArgs, PageArgs};
use crate::conformance::record::Results;
use crate::conformance::{page, run, words};
use crate::peers;
use crate::privileged::{self, record};
use crate::speed::{self, Count, Sample};

/// The file of the counts, beside that of the timed rounds.
const COUNTS: &str = "syscalls.csv";
/// The results of the privileged tests, beside those of the validation programs.
const PRIVILEGED: &str = "privileged.json";
/// What they are expected to be, beside the reasons.
const EXPECTED: &str = "privileged.toml";
/// What callers read in messages, beside the reasons.
const WORDS: &str = "words.toml";

/// wamr-crun beside crun, runc and youki.
#[derive(Debug, Parser)]
#[command(name = "wamr-bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the validation programs of runtime-tools; needs root and the node image.
    Conformance(ConformanceArgs),
    /// Run wamr-crun's privileged tests with other runtimes and compare what fails with what is
    /// expected to; needs root and the node image.
    Privileged(PrivilegedArgs),
    /// Time create, start, kill and delete; needs root and the node image.
    Speed(SpeedArgs),
    /// Write the page of a timing run.
    SpeedPage {
        /// The raw data, syscalls.csv beside it; its path is printed as it is given.
        samples: PathBuf,
        /// The page.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make the programs of `compute`; needs gcc, clang for WASI, Go, cargo and pip.
    ComputeBuild(BuildArgs),
    /// Time programs, native and by several engines; needs root and the node image.
    Compute(ComputeArgs),
    /// Write the page of such a run.
    ComputePage(PageArgs),
    /// Run a program, write the number of its system calls and its children's to a file.
    #[command(name = speed::count::COUNT)]
    Count {
        /// The file.
        out: PathBuf,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        words: Vec<OsString>,
    },
    /// The traced side of `count`.
    #[command(name = speed::count::STAGE, hide = true)]
    CountStage {
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        words: Vec<OsString>,
    },
    /// Write the page of a conformance run.
    ConformancePage {
        /// The run's results, privileged.json beside it.
        results: PathBuf,
        /// Why tests do not pass, privileged.toml and words.toml beside it.
        #[arg(long)]
        reasons: PathBuf,
        /// The page.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
struct SpeedArgs {
    #[command(flatten)]
    arena: ArenaArgs,
    /// Directory with bin/youki; without it youki cannot take part.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// A static busybox.
    #[arg(long, default_value = "/bin/busybox")]
    busybox: PathBuf,
    /// Rounds that are written.
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Rounds before them.
    #[arg(long, default_value_t = 10)]
    warm_up: u32,
    /// Rounds in which system calls are counted and nothing is timed.
    #[arg(long, default_value_t = 5)]
    counted: u32,
    /// Of the order in each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What runs wamr-crun's Wasm containers: interpreted, compiled or auto.
    #[arg(long, default_value = "interpreted")]
    engine: String,
    /// The raw data, as CSV; syscalls.csv comes beside it.
    #[arg(long)]
    out: PathBuf,
}

/// Where runtimes are compared.
#[derive(Debug, Args)]
pub struct ArenaArgs {
    /// The cache that holds the node image.
    #[arg(long, default_value_os_t = default_cache())]
    cache: PathBuf,
    /// A root file system instead of the node image's; `/` is this machine's.
    #[arg(long)]
    image: Option<PathBuf>,
    /// The directory of wamr-crun and wamr-runner.
    #[arg(long, default_value = "dist/bin")]
    bin: PathBuf,
    /// Runtimes, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "wamr-crun,crun,runc")]
    runtimes: Vec<String>,
}

/// The lab's cache.
pub fn default_cache() -> PathBuf {
    std::env::var_os("WAMR_LAB_CACHE").map_or("/var/cache/wamr-lab".into(), PathBuf::from)
}

#[derive(Debug, Args)]
struct ConformanceArgs {
    #[command(flatten)]
    arena: ArenaArgs,
    /// Directory with bin/ (the programs), runtimetest and rootfs-amd64.tar.gz.
    #[arg(long)]
    suite: PathBuf,
    /// The suite's module and version, for the record.
    #[arg(long)]
    suite_name: String,
    /// Seconds after which a program is killed.
    #[arg(long, default_value_t = 60)]
    time_s: u64,
    /// Programs at a time.
    #[arg(long, default_value_t = 6)]
    jobs: usize,
    /// Where results go.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Fail if wamr-crun is worse than in these results.
    #[arg(long)]
    against: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PrivilegedArgs {
    #[command(flatten)]
    arena: ArenaArgs,
    /// The program of the tests, as `cargo test --no-run` makes it.
    #[arg(long)]
    tests: PathBuf,
    /// A static busybox.
    #[arg(long, default_value = "/bin/busybox")]
    busybox: PathBuf,
    /// Tests with this in their name only; what else is listed then counts as gone.
    #[arg(long, default_value = "")]
    only: String,
    /// What is expected to fail.
    #[arg(long, default_value = "runtime/conformance/privileged.toml")]
    expected: PathBuf,
    /// Seconds after which a test is killed.
    #[arg(long, default_value_t = 60)]
    time_s: u64,
    /// Tests at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Where results go.
    #[arg(long)]
    out: PathBuf,
}

/// Does what the command line says.
///
/// # Errors
/// Those of the command.
pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Conformance(args) => conformance(args),
        Command::Privileged(args) => privileged(&args),
        Command::Speed(args) => speed(&args),
        Command::SpeedPage { samples, out } => {
            let counts = samples.with_file_name(COUNTS);
            let data = speed::page::Data {
                samples: &read_csv::<Sample>(&samples)?,
                counts: &read_csv::<Count>(&counts)?,
            };
            let sources = [samples.to_string_lossy(), counts.to_string_lossy()];
            write(&out, &speed::page::render(data, [&sources[0], &sources[1]])?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::ComputeBuild(args) => compute::cli::build(&args),
        Command::Compute(args) => compute::cli::compute(&args),
        Command::ComputePage(args) => compute::cli::page(&args),
        Command::Count { out, words } => speed::count::count(&out, &words),
        Command::CountStage { words } => Err(speed::count::stage(&words)),
        Command::ConformancePage { results, reasons, out } => {
            let text = read(&reasons)?;
            let page = page::render(&Results::read(&results)?, &page::reasons(&text)?)?;
            let expected = record::differences(&read(&reasons.with_file_name(EXPECTED))?)?;
            let found = read_json(&results.with_file_name(PRIVILEGED))?;
            let words = words::section(&read(&reasons.with_file_name(WORDS))?)?;
            write(&out, &(page + &words + &privileged::page::section(&found, &expected)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads a CSV file.
///
/// # Errors
/// It is not there, or has other columns.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let call = || format!("read {}: make bench and make bench-compute write them", path.display());
    let reader = csv::Reader::from_path(path).into_diagnostic().wrap_err_with(call)?;
    let rows: Result<Vec<T>, _> = reader.into_deserialize().collect();
    rows.into_diagnostic().wrap_err_with(call)
}

/// Writes a CSV file.
///
/// # Errors
/// Those of the system.
pub fn write_csv<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut file = csv::Writer::from_path(path).into_diagnostic()?;
    rows.iter().try_for_each(|row| file.serialize(row)).into_diagnostic()?;
    file.flush().into_diagnostic()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("read {}", path.display()))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let call = || format!("read {}", path.display());
    serde_json::from_str(&read(path)?).into_diagnostic().wrap_err_with(call)
}

/// Writes a file, with the directory that it is in.
///
/// # Errors
/// Those of the system.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .into_diagnostic()
        .wrap_err_with(|| format!("write {}", path.display()))
}

/// The arena with our programs and those of `more` in it.
///
/// # Errors
/// A directory is not there.
pub fn arena(args: &ArenaArgs, more: &[(&Path, &'static str)]) -> Result<Arena> {
    let absolute = |path: &Path| {
        let found = path.canonicalize().into_diagnostic();
        found.wrap_err_with(|| format!("find {}", path.display()))
    };
    let mut shared = vec![(absolute(&args.bin)?, peers::OURS)];
    for (path, inside) in more {
        shared.push((absolute(path)?, *inside));
    }
    let image = match &args.image {
        Some(image) => image.clone(),
        None => peers::node_image(&args.cache)?,
    };
    Ok(Arena { image, shared })
}

fn conformance(args: ConformanceArgs) -> Result<ExitCode> {
    const OUT: &str = "/opt/wamr/out";
    // Read before the arena is entered: its worker does not see the host's files.
    let before = args.against.as_deref().filter(|path| path.exists());
    let before = before.map(Results::read).transpose()?;
    let out = args.out.as_deref().unwrap_or(Path::new("target/conformance/results.json"));
    let parent = out.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).into_diagnostic()?;
    let place = arena(&args.arena, &[(&args.suite, run::SUITE), (parent, OUT)])?;
    let name = out.file_name().unwrap_or_default();
    arena::within(&place, || {
        let peers = peers::named(&args.arena.runtimes)?;
        let limits = run::Limits { time_s: args.time_s, jobs: args.jobs };
        let results = run::run(&peers, limits, args.suite_name)?;
        results.write(&Path::new(OUT).join(name))?;
        let worse = before.map(|before| results.worse_than(&before, "wamr-crun"));
        let worse = worse.unwrap_or_default();
        for (test, what) in &worse {
            eprintln!("worse than the committed results: {test}: {what}");
        }
        Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn privileged(args: &PrivilegedArgs) -> Result<ExitCode> {
    const OUT: &str = "/opt/wamr/out";
    // All read before the arena is entered: its worker does not see the host's files.
    let expected = record::differences(&read(&args.expected)?)?;
    let program =
        fs::read(&args.tests).into_diagnostic().wrap_err("read the program of --tests")?;
    let busybox = fs::read(&args.busybox).into_diagnostic().wrap_err("read busybox")?;
    let parent = args.out.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).into_diagnostic()?;
    let place = arena(&args.arena, &[(parent, OUT)])?;
    let name = args.out.file_name().unwrap_or_default();
    arena::within(&place, || {
        let peers = peers::named(&args.arena.runtimes)?;
        let limits = run::Limits { time_s: args.time_s, jobs: args.jobs };
        let (only, expected) = (&*args.only, &expected);
        let given = privileged::run::Given { program: &program, busybox: &busybox, only, expected };
        let results = privileged::run::run(&peers, limits, &given)?;
        let text = serde_json::to_string_pretty(&results).into_diagnostic()? + "\n";
        write(&Path::new(OUT).join(name), &text)?;
        let mut code = ExitCode::SUCCESS;
        for (runtime, suite) in &results.runtimes {
            let none = BTreeMap::new();
            let unexpected = suite.unexpected(expected.get(runtime).unwrap_or(&none));
            println!("{}", suite.summary(runtime));
            for line in unexpected {
                println!("not as expected, {runtime}: {line}");
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    })
}

fn speed(args: &SpeedArgs) -> Result<ExitCode> {
    const OUT: &str = "/opt/wamr/out";
    let busybox = fs::read(&args.busybox).into_diagnostic().wrap_err("read busybox")?;
    let parent = args.out.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).into_diagnostic()?;
    let built = args.peers.as_deref().map(|path| (path, peers::BUILT));
    let more: Vec<_> = [(parent, OUT)].into_iter().chain(built).collect();
    let place = arena(&args.arena, &more)?;
    let name = args.out.file_name().unwrap_or_default();
    arena::within(&place, || {
        let SpeedArgs { rounds, warm_up, counted, seed, ref engine, .. } = *args;
        let plan = speed::run::Plan { rounds, warm_up, counted, seed, engine };
        let peers = peers::named(&args.arena.runtimes)?;
        let (samples, counts) = speed::run::run(&peers, plan, &busybox)?;
        write_csv(&Path::new(OUT).join(name), &samples)?;
        write_csv(&Path::new(OUT).join(COUNTS), &counts)?;
        Ok(ExitCode::SUCCESS)
    })
}
