//! The flags of `exec`, as data.

use clap::Args;
use std::path::PathBuf;

/// Flags of `exec`.
///
/// The process is the container's own with another command, changed by the flags, or the one that
/// the file of --process describes. It ends with the status of the process (128 and its number if
/// a signal ended it), or with 255 if there is none.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[command(after_help = "Examples:\n  \
    wamr-crun exec web ls -l /            a native program of the image\n  \
    wamr-crun exec web /tool.wasm --help  a module: the Wasm runner runs it\n  \
    wamr-crun exec -t -u 1000 web sh      a shell on a terminal, as another user\n  \
    wamr-crun exec --process p.json -d --pid-file p web   as container engines do")]
pub struct Exec {
    /// The container
    pub id: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    #[arg(required_unless_present = "process")]
    pub command: Vec<String>,
    /// File with the process as JSON, like `process` of config.json
    #[arg(short, long, value_name = "FILE", conflicts_with = "command")]
    pub process: Option<PathBuf>,
    /// Do not wait for the process's end
    #[arg(short, long)]
    pub detach: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Unix socket that the terminal's master is sent to
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// File that the PID of the process is written to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Unix socket that a pidfd of the process is sent to
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// User and group, as numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// A further group, as a number; may be given several times
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// Working directory, inside the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// A further environment variable; without a value, the caller's. May be given several times
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// A further capability; may be given several times
    #[arg(short, long, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Let the process gain no privileges by exec
    #[arg(long)]
    pub no_new_privs: bool,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Number of descriptors from 3 on that the process inherits
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Also in a paused container, where the process stands still until it is resumed
    #[arg(long)]
    pub ignore_paused: bool,
    /// Group below the container's own, which must exist; on cgroup v1 also for some controllers
    /// alone, and then several times
    #[arg(long, value_name = "[CONTROLLER,...:]PATH")]
    pub cgroup: Vec<String>,
    /// Accepted for runc's sake: this runtime never is a subreaper
    #[arg(long)]
    pub no_subreaper: bool,
}
