//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Turns a run directory of wamr-lab into a report.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "Turns a run directory of wamr-lab into a report",
    long_about = "Turns a run directory of wamr-lab into a report: statistics, figures, tables.\n\n\
                  It needs no root, no network and no clock: the same run gives the same bytes \
                  on every machine.",
    after_help = "Examples:\n  \
                  wamr-report verify runs/demo         is the data what was measured?\n  \
                  wamr-report summary runs/demo        the main table, in the terminal\n  \
                  wamr-report build runs/demo          the report: runs/demo/report/index.html\n\n\
                  wamr-report check runs/demo          which claims hold?\n\n\
                  Exit status: 0 done, 1 defects or an error, 2 a wrong command line; `check` \
                  also 3 and 4."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the report: index.html, report.md, numbers.json, figures/*.svg, tables/*.csv
    #[command(after_help = "Examples:\n  \
                            wamr-report build runs/demo\n  \
                            wamr-report build runs/demo --out /tmp/demo-report\n\n\
                            The report is written beside its destination and moved there at the \
                            end: after an error nothing has changed.")]
    Build {
        /// The run directory, as wamr-lab wrote it
        run_dir: PathBuf,
        /// Where to write the report; an earlier report there is replaced [default: RUN_DIR/report]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Also accept a run with defects, and list them in the report
        #[arg(long)]
        with_defects: bool,
    },
    /// Check digests, schema, missing and unknown files, and that valid cells are complete
    #[command(after_help = "Every defect is printed as FILE:LINE: WHAT. The exit status is 1 if \
                            there is one.\n\n\
                            The directory `report` inside the run is not part of it and is not \
                            checked.")]
    Verify {
        /// The run directory
        run_dir: PathBuf,
    },
    /// Judge every claim: PASS, PASS-SHAPE, FAIL, INCONCLUSIVE or NOT-RUN
    #[command(after_help = "Exit status: 0 no claim failed, 1 an error, 2 a wrong command line, \
                            3 a claim failed, 4 with --strict: a claim was not decided.\n\n\
                            Examples:\n  \
                            wamr-report check data/demo\n  \
                            wamr-report check runs/a runs/b --own --junit claims.xml\n  \
                            wamr-report check runs/full --claim M09 --claim S10")]
    Check(CheckArguments),
    /// Print CLAIMS.md: every claim with its test
    Claims,
    /// Compare two runs: every figure of the second against the first, with intervals
    #[command(
        after_help = "Exit status: 0 done, 1 an error, 3 with --limit: a figure is certainly \
                            worse than that.\n\n\
                            Example: wamr-report diff data/reference runs/mine --limit 10"
    )]
    Diff {
        /// The run to compare against
        first: PathBuf,
        /// The run to compare
        second: PathBuf,
        /// Percent by which a figure may rise; a rise that is certainly larger ends with status 3
        #[arg(long, value_name = "PERCENT")]
        limit: Option<f64>,
        /// Write the table as CSV
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// Also accept runs with defects
        #[arg(long)]
        with_defects: bool,
    },
    /// Follow the same systems over many runs
    History {
        /// Run directories, in any order
        #[arg(required = true)]
        run_dirs: Vec<PathBuf>,
        /// Write the table as CSV
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// Also accept runs with defects
        #[arg(long)]
        with_defects: bool,
    },
    /// Print every figure for other programs
    Export {
        /// The run directory
        run_dir: PathBuf,
        /// In Prometheus' text format, for the textfile collector
        #[arg(long, required = true)]
        prometheus: bool,
        /// Also accept a run with defects
        #[arg(long)]
        with_defects: bool,
    },
    /// Print the main table and what follows from it
    #[command(after_help = "Coloured only on a terminal, and not if NO_COLOR is set.")]
    Summary {
        /// The run directory
        run_dir: PathBuf,
        /// Also accept a run with defects
        #[arg(long)]
        with_defects: bool,
    },
}

/// What `check` judges, and how it says so.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct CheckArguments {
    /// Run directories; each is judged on its own
    #[arg(required = true)]
    pub run_dirs: Vec<PathBuf>,
    /// Only these claims, by ID
    #[arg(long = "claim", value_name = "ID")]
    pub ids: Vec<String>,
    /// Only the paper's claims
    #[arg(long, conflicts_with = "own")]
    pub paper: bool,
    /// Only this project's claims
    #[arg(long)]
    pub own: bool,
    /// Your own claims, in the form of analysis/claims/own.toml, instead of this project's
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// Write the verdicts as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the verdicts with every number as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Exit status 4 if a claim is INCONCLUSIVE or NOT-RUN
    #[arg(long)]
    pub strict: bool,
    /// Also accept a run with defects
    #[arg(long)]
    pub with_defects: bool,
}
