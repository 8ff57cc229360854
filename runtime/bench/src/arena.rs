//! Where runtimes are compared: the node image's root in namespaces of its own, so that all of them
//! see the same files, cgroups and processes, and nothing of a test survives it.
//!
//! ```text
//! outer --spawn--> init (PID 1 of the arena, reaps) --spawn--> worker (does the work, returns)
//! ```
//! All three are this program; [`STAGE`] says which. The outer one makes the control groups and
//! removes them. init mounts the root, the worker moves into it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, pivot_root};

use crate::cgroups::{self, Hierarchy};

/// Which of the three processes this is; unset: the outer one.
const STAGE: &str = "WAMR_BENCH_STAGE";
/// The directory that init's root is mounted on; the outer process makes and removes it.
const SCRATCH: &str = "WAMR_BENCH_SCRATCH";

/// What the arena is made of.
#[derive(Debug)]
pub struct Arena {
    /// The node image's root file system; it is not written to.
    pub image: PathBuf,
    /// Directories of the host and where they appear, writable.
    pub shared: Vec<(PathBuf, &'static str)>,
}

/// Runs `work` inside the arena and returns how it ended; the caller is called again in each stage.
///
/// # Errors
/// The arena cannot be made: it needs root; or `work` failed.
pub fn within(arena: &Arena, work: impl FnOnce() -> Result<ExitCode>) -> Result<ExitCode> {
    match std::env::var(STAGE).as_deref() {
        Ok("init") => init(arena),
        Ok("worker") => {
            pivot(&scratch()?.join("root"))?;
            work()
        }
        _ => outer(),
    }
}

fn scratch() -> Result<PathBuf> {
    let named = std::env::var_os(SCRATCH).map(PathBuf::from);
    named.ok_or_else(|| miette!("{SCRATCH} is not set: start wamr-bench without {STAGE}"))
}

fn again(stage: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("wamr-bench").args(std::env::args_os().skip(1)).env(STAGE, stage);
    command
}

fn outer() -> Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        return Err(miette!("the arena's namespaces need root"));
    }
    let hierarchies = cgroups::hierarchies()?;
    let name = group_name(std::process::id());
    let scratch = std::env::temp_dir().join(&name);
    fs::create_dir(&scratch).into_diagnostic().wrap_err("make the arena's directory")?;
    let status = cgroups::create(&hierarchies, &name).and_then(|()| {
        unshare(CloneFlags::CLONE_NEWPID).into_diagnostic().wrap_err("unshare(CLONE_NEWPID)")?;
        again("init").env(SCRATCH, &scratch).status().into_diagnostic().wrap_err("start init")
    });
    let removed = cgroups::remove(&hierarchies, &name);
    fs::remove_dir(&scratch).into_diagnostic().wrap_err("remove the arena's directory")?;
    removed?;
    Ok(status?.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}

fn group_name(pid: u32) -> String {
    format!("wamr-bench-{pid}")
}

fn init(arena: &Arena) -> Result<ExitCode> {
    prctl::set_pdeathsig(Signal::SIGKILL).into_diagnostic()?;
    let scratch = scratch()?;
    let hierarchies = cgroups::hierarchies()?;
    let name = scratch.file_name().unwrap_or_default().to_string_lossy().into_owned();
    cgroups::join(&hierarchies, &name)?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
        .into_diagnostic()
        .wrap_err("unshare(CLONE_NEWNS | CLONE_NEWCGROUP)")?;
    mount_root(arena, &scratch, &hierarchies)?;
    let worker = again("worker").spawn().into_diagnostic().wrap_err("start the worker")?;
    let worker = Pid::from_raw(worker.id() as i32);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == worker => {
                return Ok(ExitCode::from(code as u8));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == worker => {
                return Err(miette!("the worker was killed by {signal}"));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).into_diagnostic().wrap_err("wait for the worker"),
        }
    }
}

fn mount_root(arena: &Arena, scratch: &Path, hierarchies: &[Hierarchy]) -> Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .into_diagnostic()
        .wrap_err("make all mounts private")?;
    place(scratch, "tmpfs", "tmpfs", "mode=755")?;
    let (upper, work, root) = (scratch.join("upper"), scratch.join("work"), scratch.join("root"));
    for directory in [&upper, &work] {
        fs::create_dir(directory).into_diagnostic().wrap_err("make the overlay's directories")?;
    }
    let (lower, upper, work) = (arena.image.display(), upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    place(&root, "overlay", "overlay", &options)?;
    place(&root.join("proc"), "proc", "proc", "")?;
    place(&root.join("sys"), "sysfs", "sysfs", "")?;
    place(&root.join("run"), "tmpfs", "tmpfs", "mode=755")?;
    place(&root.join("tmp"), "tmpfs", "tmpfs", "mode=1777")?;
    bind(Path::new("/dev"), &root.join("dev"))?;
    for (source, inside) in &arena.shared {
        bind(source, &root.join(inside.trim_start_matches('/')))?;
    }
    cgroups::mount_inside(hierarchies, &root)
}

/// Mounts a new file system at `target`, which is made.
pub fn place(target: &Path, fs_type: &str, source: &str, options: &str) -> Result<()> {
    let call = || format!("mount -t {fs_type} -o {options} {source} {}", target.display());
    fs::create_dir_all(target).into_diagnostic().wrap_err_with(call)?;
    mount(Some(source), target, Some(fs_type), MsFlags::MS_NOSUID, Some(options))
        .into_diagnostic()
        .wrap_err_with(call)
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    let none: Option<&str> = None;
    let call = || format!("mount --rbind {} {}", source.display(), target.display());
    fs::create_dir_all(target).into_diagnostic().wrap_err_with(call)?;
    mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .into_diagnostic()
        .wrap_err_with(call)
}

fn pivot(root: &Path) -> Result<()> {
    chdir(root)
        .and_then(|()| pivot_root(".", "."))
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
        .and_then(|()| chdir("/"))
        .into_diagnostic()
        .wrap_err_with(|| format!("make {} the root", root.display()))
}
