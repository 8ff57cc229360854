//! The commands `compute-build`, `compute` and `compute-page`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr};

use super::{Fact, LeftOut, Sample, build, engine, facts, page, program, run};
use crate::arena;
use crate::cli::{ArenaArgs, default_cache, read_csv, write, write_csv};

/// The files of raw data, in one folder.
const RUNS: &str = "runs.csv";
const LEFT_OUT: &str = "left-out.csv";
const MACHINE: &str = "machine.csv";

/// What is made from what.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The cache of wamr-lab, for modules, Debian's Python and peers.
    #[arg(long, default_value_os_t = default_cache())]
    cache: PathBuf,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// Where the programs go.
    #[arg(long, default_value = "target/compute")]
    out: PathBuf,
    /// Programs, separated by commas; all without it.
    #[arg(long, value_delimiter = ',')]
    programs: Vec<String>,
}

/// What is run how often.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    #[command(flatten)]
    arena: ArenaArgs,
    /// What `compute-build` made.
    #[arg(long, default_value = "target/compute")]
    made: PathBuf,
    /// Rounds.
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Seconds that one program with one engine may take in all; it runs five times at least.
    #[arg(long, default_value_t = 60)]
    budget_s: u64,
    /// Seconds that one run may take; what takes longer is left out.
    #[arg(long, default_value_t = 120)]
    limit_s: u64,
    /// Of the order in each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Programs, separated by commas; all without it.
    #[arg(long, value_delimiter = ',')]
    programs: Vec<String>,
    /// Engines, separated by commas; all without it.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// The folder of the raw data.
    #[arg(long)]
    out: PathBuf,
}

/// Which page of what.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// The folder of the raw data; its path is printed as it is given.
    folder: PathBuf,
    /// The page.
    #[arg(long)]
    out: PathBuf,
}

/// Makes the programs.
///
/// # Errors
/// As [`build::build`].
pub fn build(args: &BuildArgs) -> Result<ExitCode> {
    let programs = program::named(&args.programs)?;
    build::build(&args.repository, &args.cache, &args.out, &programs)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs them.
///
/// # Errors
/// As [`run::run`].
pub fn compute(args: &ComputeArgs) -> Result<ExitCode> {
    const OUT: &str = "/opt/wamr/out";
    std::fs::create_dir_all(&args.out).into_diagnostic().wrap_err("make the folder of --out")?;
    // The arena has no compilers: they are asked out here, by each of its stages.
    let facts: Vec<Fact> = facts::of_this_machine();
    let peers = args.made.join("peers");
    let shared: [(&Path, &'static str); 3] =
        [(&args.out, OUT), (&args.made, engine::PROGRAMS), (&peers, engine::PEERS)];
    let place = crate::cli::arena(&args.arena, &shared)?;
    arena::within(&place, || {
        run::warm(&program::named(&args.programs)?)?;
        let out = Path::new(OUT);
        write_csv(&out.join(MACHINE), &facts)?;
        let plan = run::Plan {
            rounds: args.rounds,
            seed: args.seed,
            budget: Duration::from_secs(args.budget_s),
            limit: Duration::from_secs(args.limit_s),
            programs: args.programs.clone(),
            engines: args.engines.clone(),
        };
        run::run(&plan, &|samples, left_out| {
            write_csv(&out.join(RUNS), samples)?;
            write_csv(&out.join(LEFT_OUT), left_out)
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes the page.
///
/// # Errors
/// As [`page::render`]; the raw data cannot be read.
pub fn page(args: &PageArgs) -> Result<ExitCode> {
    let data = page::Data {
        samples: &read_csv::<Sample>(&args.folder.join(RUNS))?,
        left_out: &read_csv::<LeftOut>(&args.folder.join(LEFT_OUT))?,
        facts: &read_csv::<Fact>(&args.folder.join(MACHINE))?,
    };
    write(&args.out, &page::render(data, &args.folder.to_string_lossy())?)?;
    Ok(ExitCode::SUCCESS)
}
