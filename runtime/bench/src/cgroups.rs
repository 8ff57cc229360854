//! Control groups of the arena: one group of its own in each hierarchy, which it sees as the top.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arena::place;

/// How often a group that is still busy is tried again, and after how long.
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(25);

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where the host mounts it.
    at: PathBuf,
    /// The v1 options that say which one it is, e.g. `cpu,cpuacct`; `None`: v2.
    v1: Option<String>,
}

/// The hierarchies with controllers: all of v1, else the one of v2.
///
/// # Errors
/// None is mounted.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let text = fs::read_to_string("/proc/self/mountinfo").into_diagnostic()?;
    let found = parse_mountinfo(&text);
    if found.is_empty() {
        return Err(miette!("no cgroup file system is mounted below /sys/fs/cgroup"));
    }
    Ok(found)
}

fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(at) = before.split(' ').nth(4).filter(|at| at.starts_with("/sys/fs/cgroup"))
        else {
            continue;
        };
        let mut fields = after.split(' ');
        match (fields.next(), fields.nth(1)) {
            (Some("cgroup2"), _) => v2.push(Hierarchy { at: at.into(), v1: None }),
            (Some("cgroup"), Some(options)) => {
                let options: Vec<_> = options
                    .split(',')
                    .filter(|one| !matches!(*one, "rw" | "ro" | "xattr" | "clone_children"))
                    .filter(|one| !one.starts_with("release_agent="))
                    .collect();
                v1.push(Hierarchy { at: at.into(), v1: Some(options.join(",")) });
            }
            _ => {}
        }
    }
    if v1.is_empty() { v2 } else { v1 }
}

/// Makes the group `name` in every hierarchy.
///
/// # Errors
/// A group cannot be made; the text names it.
pub fn create(hierarchies: &[Hierarchy], name: &str) -> Result<()> {
    for hierarchy in hierarchies {
        let group = hierarchy.at.join(name);
        let call = || format!("make the control group {}", group.display());
        fs::create_dir(&group).into_diagnostic().wrap_err_with(call)?;
        // A v1 cpuset takes no process before it has processors and memory nodes.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if hierarchy.v1.is_some() && group.join(file).exists() {
                fs::read(hierarchy.at.join(file))
                    .and_then(|value| fs::write(group.join(file), value))
                    .into_diagnostic()
                    .wrap_err_with(call)?;
            }
        }
    }
    Ok(())
}

/// Moves this process into the group `name` of every hierarchy.
///
/// # Errors
/// A group is not there.
pub fn join(hierarchies: &[Hierarchy], name: &str) -> Result<()> {
    for hierarchy in hierarchies {
        let file = hierarchy.at.join(name).join("cgroup.procs");
        fs::write(&file, "0")
            .into_diagnostic()
            .wrap_err_with(|| format!("enter the control group {}", file.display()))?;
    }
    Ok(())
}

/// Mounts the hierarchies below `root`, as seen from the group this process is in.
///
/// # Errors
/// A mount fails; the text names it.
pub fn mount_inside(hierarchies: &[Hierarchy], root: &Path) -> Result<()> {
    let top = root.join("sys/fs/cgroup");
    if let [Hierarchy { v1: None, .. }] = hierarchies {
        place(&top, "cgroup2", "cgroup2", "")?;
        return make_room(&top);
    }
    place(&top, "tmpfs", "tmpfs", "mode=755")?;
    for options in hierarchies.iter().filter_map(|hierarchy| hierarchy.v1.as_deref()) {
        let name = options.strip_prefix("name=").unwrap_or(options);
        let none = if options.starts_with("name=") { "none," } else { "" };
        place(&top.join(name), "cgroup", "cgroup", &format!("{none}{options}"))?;
        for controller in name.split(',').filter(|one| *one != name) {
            std::os::unix::fs::symlink(name, top.join(controller)).into_diagnostic()?;
        }
    }
    Ok(())
}

/// v2: a group with processes hands no controllers down, so ours go one below.
fn make_room(top: &Path) -> Result<()> {
    let below = top.join("bench");
    let controllers = fs::create_dir(&below)
        .and_then(|()| fs::write(below.join("cgroup.procs"), "0"))
        .and_then(|()| fs::read_to_string(top.join("cgroup.controllers")))
        .into_diagnostic()
        .wrap_err_with(|| format!("move into {}", below.display()))?;
    for controller in controllers.split_whitespace() {
        // Not each can be handed down; a test that needs it fails for every runtime alike.
        drop(fs::write(top.join("cgroup.subtree_control"), format!("+{controller}")));
    }
    Ok(())
}

/// Kills what is left in the group `name` and removes it from every hierarchy.
///
/// # Errors
/// A group stays busy.
pub fn remove(hierarchies: &[Hierarchy], name: &str) -> Result<()> {
    for hierarchy in hierarchies {
        let group = hierarchy.at.join(name);
        let mut tries = REMOVE_TRIES;
        while group.exists() {
            tries -= 1;
            if let Err(error) = empty(&group)
                && tries == 0
            {
                return Err(error)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("remove the control group {}", group.display()));
            }
            if group.exists() {
                sleep(REMOVE_PAUSE);
            }
        }
    }
    Ok(())
}

fn empty(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)? {
        let path = entry?.path();
        if path.is_dir() {
            empty(&path)?;
        }
    }
    for pid in fs::read_to_string(group.join("cgroup.procs"))?.lines() {
        let Ok(pid) = pid.parse() else { continue };
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fs::remove_dir(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_hosts_count_as_v1() {
        let v2 = "30 20 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let v1 = "31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,xattr,cpu,cpuacct\n\
                  32 20 0:28 / /elsewhere rw - cgroup cgroup rw,pids\n";
        let found = parse_mountinfo(&format!("{v2}{v1}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].v1.as_deref(), Some("cpu,cpuacct"));
        assert_eq!(parse_mountinfo(v2)[0].v1, None);
    }
}
