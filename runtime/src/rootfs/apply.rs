//! Performs mount steps inside a container's root.

use super::in_root::{Root, is_directory};
use super::mounts::{Kind, Step};
use crate::error::{Act, Error, Result};
use crate::sys::mount::{self, FsConfig, MountAttr};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statfs;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The files of a procfs that a bind mount may cover: what lxcfs shows per container.
/// Anything else there would defeat the masked paths or the checks on /proc.
const COVERABLE_IN_PROC: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Refers to what `step` binds; `None` if it binds nothing or this process may not reach it.
pub fn open_source(step: &Step) -> Option<OwnedFd> {
    let Kind::Bind { source, .. } = &step.kind else { return None };
    nix::fcntl::open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Mounts one bind mount or new file system inside `root`. `tree`: what is attached, where the
/// runtime made it already. `opened`: what is bound, where it was opened already.
///
/// # Errors
/// [`Error::Os`] with the mount's destination.
pub fn apply(
    root: &Root,
    step: &Step,
    tree: Option<&OwnedFd>,
    opened: Option<&OwnedFd>,
) -> Result<()> {
    let (tree, target) = match &step.kind {
        Kind::Bind { source, recursive } => {
            let tree = match (tree, opened) {
                (Some(tree), _) => tree.try_clone(),
                (None, Some(fd)) => mount::clone_tree(fd.as_fd(), Path::new(""), *recursive),
                (None, None) => mount::clone_tree(AT_FDCWD, source, *recursive),
            };
            let shown = step.destination.display();
            let tree = tree.act(|| format!("bind mount {} ({shown})", source.display()))?;
            bind(root, step, source, tree)?
        }
        Kind::New { fstype, source } => new(root, step, fstype, source)?,
        Kind::Cgroup => {
            return Err(Error::config("mounts", "a cgroup mount reached the wrong step"));
        }
    };
    attach(tree.as_fd(), target.as_fd(), step)?;
    if step.options.copy_up {
        copy_up(target.as_fd(), tree.as_fd(), step)?;
    }
    propagate(tree.as_fd(), step)
}

fn bind(root: &Root, step: &Step, source: &Path, tree: OwnedFd) -> Result<(OwnedFd, OwnedFd)> {
    let directory = is_directory(tree.as_fd()).act(|| format!("stat {}", source.display()))?;
    let target = if directory {
        root.make_directory(&step.destination, 0o755)
    } else {
        root.make_file(&step.destination)
    }
    .act(|| format!("make the mount point {}", step.destination.display()))?;
    let options = &step.options;
    let (plain, below) = (&options.attr, &options.recursive_attr);
    for (attr, recursive) in [(below, true), (plain, false)] {
        if *attr != MountAttr::default() {
            mount::set_attributes(tree.as_fd(), attr, recursive)
                .act(|| format!("set the attributes of mount {}", step.destination.display()))?;
        }
    }
    Ok((tree, target))
}

fn new(root: &Root, step: &Step, fstype: &str, source: &str) -> Result<(OwnedFd, OwnedFd)> {
    let destination = &step.destination;
    let target = root
        .make_directory(destination, 0o755)
        .act(|| format!("make the mount point {}", destination.display()))?;
    if matches!(fstype, "proc" | "sysfs") {
        root.refer_without_links(destination)
            .act(|| format!("mount {fstype} at {}: a symlink on the way", destination.display()))?;
    }
    let mut data = step.options.data.clone();
    // As mount(8) users expect of an image: a tmpfs keeps the mode of what it covers.
    if fstype == "tmpfs" && !data.iter().any(|option| option.starts_with("mode=")) {
        let stat = fstatat(&target, "", AtFlags::AT_EMPTY_PATH)
            .act(|| format!("stat {}", destination.display()))?;
        data.push(format!("mode={:o}", stat.st_mode & 0o7777));
    }
    if step.options.read_only() && source.starts_with('/') {
        data.push("ro".to_owned());
    }
    let fs = file_system(fstype, source, &data)
        .act(|| format!("mount {fstype} at {}", destination.display()))?;
    let attr = step.options.attr.set | step.options.recursive_attr.set;
    // What is copied into a tmpfs needs it writable until then.
    let attr = if step.options.copy_up { attr & !1 } else { attr };
    let tree = mount::fs_mount(fs.as_fd(), attr)
        .act(|| format!("mount {fstype} at {}", destination.display()))?;
    Ok((tree, target))
}

/// A new file system with its options, not mounted yet.
///
/// # Errors
/// Those of fsopen(2) and fsconfig(2).
pub fn file_system(fstype: &str, source: &str, data: &[String]) -> std::io::Result<OwnedFd> {
    let text = |text: &str| CString::new(text).map_err(std::io::Error::from);
    let fs = mount::fs_open(&text(fstype)?)?;
    let named = |option: &str, error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("option {option}: {error}"))
    };
    mount::fs_config(fs.as_fd(), FsConfig::String(c"source", &text(source)?))?;
    for option in data {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (text(key)?, Some(text(value)?)),
            None => (text(option)?, None),
        };
        let config = match &value {
            Some(value) => FsConfig::String(&key, value),
            None => FsConfig::Flag(&key),
        };
        mount::fs_config(fs.as_fd(), config).map_err(|error| named(option, error))?;
    }
    mount::fs_config(fs.as_fd(), FsConfig::Create)?;
    Ok(fs)
}

fn attach(tree: BorrowedFd, target: BorrowedFd, step: &Step) -> Result<()> {
    let destination = &step.destination;
    // A target that is on a procfs already, by its name or through a link of a volume: only a few
    // files of it may be covered.
    let on_proc = destination != Path::new("/proc")
        && statfs::fstatfs(target)
            .is_ok_and(|found| found.filesystem_type() == statfs::PROC_SUPER_MAGIC);
    if on_proc && !COVERABLE_IN_PROC.iter().any(|path| destination == Path::new(path)) {
        return Err(Error::config(
            format!("mounts ({})", destination.display()),
            "covers /proc or a part of it: use maskedPaths or readonlyPaths instead",
        ));
    }
    let is_kind = |fd| is_directory(fd).unwrap_or_default();
    match mount::move_mount(tree, target) {
        // The kernel calls it an invalid argument.
        Err(_) if is_kind(target) && !is_kind(tree) => Err(Errno::ENOTDIR.into()),
        other => other,
    }
    .act(|| format!("attach the mount {}", destination.display()))
}

fn propagate(tree: BorrowedFd, step: &Step) -> Result<()> {
    for &(kind, recursive) in &step.options.propagation {
        let attr = MountAttr { propagation: kind, ..MountAttr::default() };
        mount::set_attributes(tree, &attr, recursive)
            .act(|| format!("set the propagation of mount {}", step.destination.display()))?;
    }
    Ok(())
}

/// Copies what the image has below `target` into the new tmpfs on it, then applies `ro`.
fn copy_up(target: BorrowedFd, tree: BorrowedFd, step: &Step) -> Result<()> {
    super::copy_up::copy_tree(target, tree)
        .act(|| format!("copy the image's files into the tmpfs {}", step.destination.display()))?;
    if step.options.read_only() {
        let attr = MountAttr { set: 1, ..MountAttr::default() };
        mount::set_attributes(tree, &attr, false)
            .act(|| format!("make {} read-only", step.destination.display()))?;
    }
    Ok(())
}
