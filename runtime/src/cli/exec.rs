//! The flags of `exec`, as data.

use clap::Args;
use std::path::PathBuf;

/// Flags of `exec`.
///
/// The process is that of the container with another command, as changed by the flags, or the one
/// that the file given to --process describes. The exit status is that of the process (128 + n if
/// signal n ended it), or 255 if there was none.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[command(after_help = "Examples:\n  \
    wamr-crun exec web ls -l /            a native program from the image\n  \
    wamr-crun exec web /tool.wasm --help  a module, run by the Wasm runner\n  \
    wamr-crun exec -t -u 1000 web sh      a shell on a terminal, as another user\n  \
    wamr-crun exec --process p.json -d --pid-file p web   as container engines do")]
pub struct Exec {
    /// The container
    pub id: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// File that describes the process as JSON, like `process` in config.json
    #[arg(short, long, value_name = "FILE", conflicts_with = "command")]
    pub process: Option<PathBuf>,
    /// Do not wait until the process ends
    #[arg(short, long)]
    pub detach: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Unix socket to send the terminal's master to
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// File to write the PID of the process to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Unix socket to send a pidfd of the process to
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// User and group, as numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// An additional group, as a number; may be repeated
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// Working directory, inside the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// An additional environment variable; without a value, the caller's. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// An additional capability; may be repeated
    #[arg(short, long, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Keep the process from gaining privileges by exec
    #[arg(long)]
    pub no_new_privs: bool,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Number of file descriptors, from 3 on, that the process inherits
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Allow a paused container; the process waits until the container is resumed
    #[arg(long)]
    pub ignore_paused: bool,
    /// Existing control group below the container's own; on cgroup v1 also for single controllers,
    /// and then repeatable
    #[arg(long, value_name = "[CONTROLLER,...:]PATH")]
    pub cgroup: Vec<String>,
    /// Accepted for compatibility with runc; this runtime is never a subreaper
    #[arg(long)]
    pub no_subreaper: bool,
}
