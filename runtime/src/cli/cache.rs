//! The command line of `cache`.

use clap::Subcommand;
use std::path::PathBuf;

/// List, check, shrink or fill the cache of compiled modules.
#[derive(Debug, Clone, Subcommand)]
pub enum Cache {
    /// Print what is compiled, what that took, and when it was last used
    List,
    /// Compare the digest of everything, and remove what is damaged
    Verify,
    /// Remove what other versions left, and the least recently used
    Prune {
        /// How much may stay
        #[arg(long, value_name = "BYTES", default_value_t = 0)]
        most_bytes: u64,
    },
    /// Compile modules before a container needs them
    Warm {
        /// Modules, or directories in which every file that is a module is compiled
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Compile the module on standard input, for a container that has not waited
    #[command(hide = true)]
    Fill {
        /// Somebody reads standard output to the end: why the module was not compiled, or nothing
        #[arg(long)]
        awaited: bool,
        /// The most processor time of the compiler
        #[arg(long, value_name = "S")]
        most_cpu_seconds: Option<u64>,
    },
}
