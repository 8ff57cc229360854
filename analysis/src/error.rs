//! Why a command failed. A message never repeats its source: the chain is printed once, by `main`.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use wamr_record::reader::ReadError;

use crate::format;
use crate::verify::defect::Defect;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// A file of the run cannot be read or is not what the schema says.
    #[error("the run cannot be read")]
    #[diagnostic(help("`wamr-report verify RUN_DIR` lists every defect of a run"))]
    Read(#[from] ReadError),
    /// `experiment.toml` cannot be read as TOML.
    #[error("{}:{line}", path.display())]
    #[diagnostic(help("it must be the experiment that the lab copied into the run directory"))]
    Experiment {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        source: toml::de::Error,
    },
    /// `experiment.toml` asks for more cells than anyone can measure.
    #[error("{}: more than {limit} cells", path.display())]
    ExperimentTooLarge {
        /// Which file.
        path: PathBuf,
        /// The most that an experiment may ask for.
        limit: usize,
    },
    /// The run is not what its manifest says; figures from it would prove nothing.
    #[error("{}: {}, the first: {first}", dir.display(), defects(*count))]
    #[diagnostic(help(
        "`wamr-report verify {}` lists them all; `build --with-defects` makes the report \
         nevertheless and shows them in it", dir.display()
    ))]
    Defects {
        /// The run directory.
        dir: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        first: Defect,
    },
    /// A file of claims is not what it should be.
    #[error("{}:{line}: {reason}", path.display())]
    #[diagnostic(help("analysis/claims/own.toml shows the form; CLAIMS.md lists what there is"))]
    Claims {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A claim was asked for that does not exist.
    #[error("there is no claim {id}")]
    #[diagnostic(help("`wamr-report claims` lists them; --own and --paper leave some out"))]
    NoClaim {
        /// Its name.
        id: String,
    },
    /// A file or directory operation failed.
    #[error("{act} {}", path.display())]
    #[diagnostic(help("check the path and its permissions; --out DIR writes somewhere else"))]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Replacing the directory would delete files that no report has.
    #[error("{} exists and is not a report: it holds {found}", path.display())]
    #[diagnostic(help("give --out a new directory, an empty one, or an earlier report"))]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// A file that does not belong to a report.
        found: String,
    },
    /// A page could not be put together.
    #[error("fill the template of {page}")]
    Template {
        /// Which page.
        page: &'static str,
        /// What the template engine said.
        source: askama::Error,
    },
    /// Numbers or a table could not be written as text.
    #[error("write {name} as text")]
    Encode {
        /// Which file.
        name: String,
        /// What the encoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn defects(number: usize) -> String {
    format::count(number, "defect", "defects")
}
