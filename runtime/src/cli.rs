//! The command line: runc's and crun's global flags and verbs, as data.

mod cache;
mod exec;

pub use cache::Cache;
pub use exec::Exec;

use crate::cgroup::Driver;
use crate::log::{Format, Level, Log};
use crate::namespaces::is_root_of_machine;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Where containers' state is kept unless `--root` says otherwise.
const DEFAULT_ROOT: &str = "/run/wamr-crun";

fn default_root() -> PathBuf {
    if is_root_of_machine() {
        return DEFAULT_ROOT.into();
    }
    let user = nix::unistd::geteuid();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let directory = named.filter(|path| path.is_absolute());
    directory.unwrap_or_else(|| format!("/run/user/{user}").into()).join("wamr-crun")
}

/// An OCI runtime for WebAssembly containers, run by WAMR, and for native containers.
#[derive(Debug, Parser)]
#[command(name = "wamr-crun", disable_version_flag = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags before the verb.
    #[command(flatten)]
    pub global: Global,
    /// Print version information
    #[arg(short = 'v', long)]
    pub version: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Directory for the containers' state [default: /run/wamr-crun; for an ordinary user
    /// $XDG_RUNTIME_DIR/wamr-crun]
    #[arg(long, default_value_os_t = default_root(), hide_default_value = true, value_name = "DIR")]
    pub root: PathBuf,
    /// File to append messages to, instead of stderr; may be written file:PATH
    #[arg(long, value_name = "FILE", value_parser = log_file)]
    pub log: Option<String>,
    /// Format of the messages
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: Format,
    /// Least severe messages to log
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub log_level: Level,
    /// Log debug messages too; the same as --log-level debug
    #[arg(long)]
    pub debug: bool,
    /// Let systemd create the control groups; the same as --cgroup-manager systemd
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Who creates the control groups
    #[arg(long, value_enum, default_value_t, value_name = "WHO")]
    pub cgroup_manager: Driver,
    /// Whether to do without control groups that may not be written
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub rootless: Rootless,
}

/// Whether control groups that may not be written are done without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Rootless {
    /// Yes: containers then have no limits of their own
    True,
    /// No: a control group that may not be written is an error
    False,
    /// Only where the runtime is not run as root
    #[default]
    Auto,
}

impl Rootless {
    /// Whether it is so for this process.
    pub fn applies(self) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Auto => !nix::unistd::geteuid().is_root() || in_user_namespace(),
        }
    }
}

/// Whether the root of this process is an ordinary user on the host.
fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// What crun takes besides files would otherwise become a file of that name.
fn log_file(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((place @ ("journald" | "syslog"), _)) => {
            Err(format!("{place} is not written to: name a file"))
        }
        _ => Ok(text.to_owned()),
    }
}

impl Global {
    /// Where messages go.
    pub fn log(&self) -> Log {
        let level = if self.debug { Level::Debug } else { self.log_level };
        let file = self.log.as_deref().map(|path| path.strip_prefix("file:").unwrap_or(path));
        let file = file.map(PathBuf::from);
        Log { file, format: self.log_format, level }
    }

    /// Who makes the control groups, by either of the two flags.
    pub fn cgroup_driver(&self) -> Driver {
        if self.systemd_cgroup { Driver::Systemd } else { self.cgroup_manager }
    }
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Create a container; its program waits for `start`
    Create(Create),
    /// Start the program of a created container
    Start {
        /// The container
        id: String,
    },
    /// Create and start a container, and wait until it ends
    Run(Run),
    /// Run another process in a running container
    Exec(Box<Exec>),
    /// Print the state of a container as JSON
    State {
        /// The container
        id: String,
    },
    /// Send a signal to a container's first process
    Kill(Kill),
    /// Remove a container that has ended
    Delete(Delete),
    /// List the containers below --root
    List(List),
    /// Freeze all processes of a container
    Pause {
        /// The container
        id: String,
    },
    /// Resume all processes of a paused container
    Resume {
        /// The container
        id: String,
    },
    /// Change the limits of a container
    Update(Box<Update>),
    /// Print a container's events and resource usage, as lines of JSON
    Events(Events),
    /// List the processes of a container
    Ps(Ps),
    /// Write a config.json to start from
    Spec(Spec),
    /// Print what this runtime supports, as JSON
    Features,
    /// List, check, shrink or fill the cache of compiled modules
    #[command(subcommand)]
    Cache(Cache),
}

/// Flags of `create`.
#[derive(Debug, Clone, Args)]
pub struct Create {
    /// The container's name
    pub id: String,
    /// Directory with config.json
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub bundle: PathBuf,
    /// Read this file, relative to the bundle, instead of its config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File to write the PID of the container's first process to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Unix socket to send the terminal's master to
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket to send a pidfd of the container's first process to
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Move the root mount instead of pivot_root: for hosts that run from an initramfs
    #[arg(long)]
    pub no_pivot: bool,
    /// Stay in the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Number of file descriptors, from 3 on, that the container inherits
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Accepted for compatibility with runc; this runtime is never a subreaper
    #[arg(long)]
    pub no_subreaper: bool,
}

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Those of `create`.
    #[command(flatten)]
    pub create: Create,
    /// Do not wait until the container ends
    #[arg(short, long)]
    pub detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub keep: bool,
}

/// Flags of `kill`.
#[derive(Debug, Clone, Args)]
pub struct Kill {
    /// The container
    pub id: String,
    /// Signal number or name, such as 9, KILL or SIGKILL
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
    /// Signal every process in the container's control group
    #[arg(short, long)]
    pub all: bool,
    /// Treat the name as a regular expression, and act on every container that matches
    #[arg(short, long)]
    pub regex: bool,
}

/// Flags of `delete`.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    /// The container
    pub id: String,
    /// Kill the container first if it is running; succeed if it does not exist
    #[arg(short, long)]
    pub force: bool,
    /// Treat the name as a regular expression, and act on every container that matches
    #[arg(short, long)]
    pub regex: bool,
}

/// Flags of `update`. Sizes are bytes, or a number with k, m, g or t; -1 lifts a limit.
#[derive(Debug, Clone, Default, Args)]
pub struct Update {
    /// The container
    pub id: String,
    /// File with linux.resources as JSON, or - for stdin; replaces the other flags
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Memory limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory reservation (soft limit)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Limit on memory and swap together
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Deprecated: Linux no longer has this limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    pub kernel_memory: Option<String>,
    /// Deprecated: Linux no longer has this limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// CPU weight, from 2 to 262144
    #[arg(long, alias = "cpu-share", value_name = "SHARES")]
    pub cpu_shares: Option<u64>,
    /// Length of a CPU period
    #[arg(long, value_name = "US")]
    pub cpu_period: Option<u64>,
    /// CPU time per period
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPU time beyond the quota, saved from earlier periods
    #[arg(long, value_name = "US")]
    pub cpu_burst: Option<u64>,
    /// 1: run only when nothing else wants to
    #[arg(long, value_name = "0|1")]
    pub cpu_idle: Option<i64>,
    /// Length of a real-time CPU period
    #[arg(long, value_name = "US")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time per period
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs to run on, such as 0-2,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Maximum number of processes and threads
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Block I/O weight, from 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
    /// Intel RDT: schema of the L3 cache
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Intel RDT: schema of the memory bandwidth
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
}

/// Flags of `events`.
#[derive(Debug, Clone, Args)]
pub struct Events {
    /// The container
    pub id: String,
    /// Print the current resource usage once
    #[arg(long)]
    pub stats: bool,
    /// How often to print the resource usage
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub interval: String,
}

/// Flags of `ps`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
    wamr-crun ps web                         as `ps -ef` shows them\n  \
    wamr-crun ps web -o pid,ppid,rss,args    other columns; PID must be one of them\n  \
    wamr-crun ps --format json web           only the PIDs")]
pub struct Ps {
    /// The container
    pub id: String,
    /// Format of the list; JSON has only the PIDs
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: ListFormat,
    /// Options for ps(1), whose output must have a PID column
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    pub options: Vec<String>,
}

/// Flags of `spec`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "The container runs a shell on a terminal. For a module, set process.args to \
    its path, such as [\"/app.wasm\"], and process.terminal to false."
)]
pub struct Spec {
    /// Directory to write config.json to; an existing file is never overwritten
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub bundle: PathBuf,
    /// For an ordinary user: a user namespace, the host's network, no limits
    #[arg(long)]
    pub rootless: bool,
}

/// Flags of `list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Format of the list
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: ListFormat,
    /// Print only the names
    #[arg(short, long)]
    pub quiet: bool,
}

/// How `list` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ListFormat {
    /// Columns for people
    #[default]
    Table,
    /// An array of states
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_containerd_calls_is_understood() {
        for line in [
            "r --root /run/c --log /l --log-format json create --bundle /b --pid-file /p ID",
            "r --root /run/c --log /l --log-format json --systemd-cgroup create --bundle /b \
             --pid-file /p --console-socket /s --no-pivot --no-new-keyring --preserve-fds 2 ID",
            "r --root /run/c start ID",
            "r kill ID 15",
            "r kill --all ID 9",
            "r delete --force ID",
            "r delete -f --regex ^pod-",
            "r run -f /c.json --no-subreaper -d ID",
            "r list --format json",
            "r pause ID",
            "r resume ID",
            "r update --resources - ID",
            "r update --memory -1 --cpu-quota -1 --pids-limit -1 --cpu-share 2 ID",
            "r events --stats ID",
            "r --root /run/c --log /l --log-format json exec --process /p --console-socket /s \
             --detach --pid-file /f ID",
            "r exec --pid-file /f --process /p --detach ID",
            "r exec -t -e A=1 --user 0:0 ID ls -l --all",
            "r ps --format json ID",
            "r ps ID -o pid,args",
            "r spec --rootless --bundle /b",
            "r cache list",
            "r cache warm /a.wasm /images",
            "r cache prune --most-bytes 0",
            "r --version",
        ] {
            Cli::try_parse_from(line.split_whitespace()).unwrap();
        }
    }
}
