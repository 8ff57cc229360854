//! The node's control groups: one group of its own in every hierarchy, and nothing beside it.
//!
//! init enters a cgroup namespace from inside its group, so the node sees that group as the root of
//! the hierarchy and the kubelet's `/kubepods` is `/wamr-lab-NAME/kubepods` on the host. On a v1
//! host a hybrid `unified` hierarchy is left out of the node: crun refuses to work beside one.
//! Source: cgroup_namespaces(7), cgroups(7).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::mount::{MsFlags, mount};

use crate::sys;

/// Group of the daemons below the node's root group. On v2 the root must be empty of processes
/// before controllers can be handed down.
const DAEMONS: &str = "daemons";

/// Mount options of a v1 hierarchy that do not say which one it is.
const NEUTRAL_OPTIONS: [&str; 5] = ["rw", "ro", "xattr", "clone_children", "noprefix"];

/// Controllers of v2 without which the kubelet does not start.
const NEEDED_CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// How long groups of processes that were killed may stay busy.
const BUSY_LIMIT: Duration = Duration::from_secs(20);

/// Who makes the groups of pods and containers: the kubelet and all runtimes must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// They themselves, in the cgroup file system: where no systemd runs.
    Cgroupfs,
    /// systemd: slices for pods, a scope for each container.
    Systemd,
}

/// A mounted hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// A v1 hierarchy.
    V1 {
        /// Where the host mounts it.
        at: PathBuf,
        /// `cpu,cpuacct` or `name=systemd`.
        options: String,
    },
    /// The v2 hierarchy.
    V2 {
        /// Where the host mounts it.
        at: PathBuf,
    },
}

impl Hierarchy {
    /// Where the host mounts it.
    fn at(&self) -> &Path {
        match self {
            Self::V1 { at, .. } | Self::V2 { at } => at,
        }
    }
}

/// The hierarchies that a node takes part in.
///
/// # Errors
/// There are none.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let text = fs::read_to_string("/proc/self/mountinfo")
        .into_diagnostic()
        .wrap_err("read /proc/self/mountinfo")?;
    let found = parse_mountinfo(&text);
    if found.is_empty() {
        return Err(miette!(
            help = "mount cgroup2 at /sys/fs/cgroup",
            "no cgroup file system is mounted"
        ));
    }
    Ok(found)
}

/// Reads mountinfo: all v1 hierarchies if one has a controller, else the v2 one.
fn parse_mountinfo(text: &str) -> Vec<Hierarchy> {
    let (mut v1, mut v2): (Vec<Hierarchy>, Vec<Hierarchy>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(at) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
        let mut fields = after.split(' ');
        match (fields.next(), fields.nth(1)) {
            (Some("cgroup2"), _) if v2.is_empty() => v2.push(Hierarchy::V2 { at }),
            (Some("cgroup"), Some(super_options)) => {
                let options = identifying_options(super_options);
                let known =
                    |h: &Hierarchy| matches!(h, Hierarchy::V1 { options: o, .. } if *o == options);
                if !options.is_empty() && !v1.iter().any(known) {
                    v1.push(Hierarchy::V1 { at, options });
                }
            }
            _ => {}
        }
    }
    let has_controller =
        |h: &Hierarchy| matches!(h, Hierarchy::V1 { options, .. } if !options.starts_with("name="));
    if v1.iter().any(has_controller) { v1 } else { v2 }
}

/// The part of a v1 hierarchy's options that says which one it is.
fn identifying_options(super_options: &str) -> String {
    let told =
        |option: &&str| !NEUTRAL_OPTIONS.contains(option) && !option.starts_with("release_agent=");
    super_options.split(',').filter(told).collect::<Vec<_>>().join(",")
}

/// Makes the group `name` and its `daemons` child in every hierarchy.
///
/// # Errors
/// A group cannot be made; the text names it.
pub fn create(hierarchies: &[Hierarchy], name: &str) -> Result<()> {
    for hierarchy in hierarchies {
        if let Hierarchy::V2 { at } = hierarchy {
            delegate(at)?;
        }
        let group = hierarchy.at().join(name);
        for dir in [group.clone(), group.join(DAEMONS)] {
            fs::create_dir(&dir)
                .or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
                .and_then(|()| inherit_cpuset(&dir))
                .into_diagnostic()
                .wrap_err_with(|| format!("make the control group {}", dir.display()))?;
        }
    }
    Ok(())
}

/// A v1 cpuset group accepts no process before it has processors and memory nodes.
fn inherit_cpuset(group: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = group.join(file);
        // v2 has these files too, and there an empty one means "as the parent".
        if !own.exists() || group.join("cgroup.controllers").exists() {
            continue;
        }
        if let Some(parent) = group.parent() {
            fs::write(own, fs::read(parent.join(file))?)?;
        }
    }
    Ok(())
}

/// Hands the controllers of a v2 group down to its children, as far as they are not yet.
fn delegate(group: &Path) -> Result<()> {
    let words = |file: &str| -> Result<Vec<String>> {
        let text = fs::read_to_string(group.join(file))
            .into_diagnostic()
            .wrap_err_with(|| format!("read {file} of {}", group.display()))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let there = words("cgroup.controllers")?;
    if let Some(missing) = NEEDED_CONTROLLERS.iter().find(|one| !there.iter().any(|c| c == *one)) {
        return Err(miette!(
            help = "the kubelet needs it; look into cgroup.subtree_control of the parent group",
            "the control group {} has no {missing} controller",
            group.display()
        ));
    }
    let handed_down = words("cgroup.subtree_control")?;
    for controller in there.iter().filter(|controller| !handed_down.contains(controller)) {
        let control = group.join("cgroup.subtree_control");
        let written = fs::write(&control, format!("+{controller}"));
        if NEEDED_CONTROLLERS.contains(&controller.as_str()) {
            written.into_diagnostic().wrap_err_with(|| {
                format!("write +{controller} to {}: are there processes?", control.display())
            })?;
        }
    }
    Ok(())
}

/// Moves this process into the group `name` (or its `daemons` child) of every hierarchy.
///
/// # Errors
/// A group is not there.
pub fn join(hierarchies: &[Hierarchy], name: &str, daemons: bool) -> Result<()> {
    for hierarchy in hierarchies {
        let group = hierarchy.at().join(name);
        let group = if daemons { group.join(DAEMONS) } else { group };
        write_own_pid(&group)?;
    }
    Ok(())
}

fn write_own_pid(group: &Path) -> Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
        .into_diagnostic()
        .wrap_err_with(|| format!("enter the control group {}", group.display()))
}

/// Mounts the hierarchies for the node below `root`. The caller is in the node's cgroup namespace.
///
/// # Errors
/// A mount fails; the text names it.
pub fn mount_inside(hierarchies: &[Hierarchy], root: &Path) -> Result<()> {
    let top = root.join("sys/fs/cgroup");
    if let [Hierarchy::V2 { .. }] = hierarchies {
        return mount_at("cgroup2", &top, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "");
    }
    mount_at("tmpfs", &top, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=755")?;
    for hierarchy in hierarchies {
        let Hierarchy::V1 { options, .. } = hierarchy else { continue };
        let dir_name = options.strip_prefix("name=").unwrap_or(options);
        let at = top.join(dir_name);
        fs::create_dir(&at)
            .into_diagnostic()
            .wrap_err_with(|| format!("mkdir {}", at.display()))?;
        let with_none =
            if options.starts_with("name=") { format!("none,{options}") } else { options.clone() };
        mount_at("cgroup", &at, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &with_none)?;
        // Programs look for /sys/fs/cgroup/cpu also where it is mounted together with cpuacct.
        for controller in dir_name.split(',').filter(|_| dir_name.contains(',')) {
            std::os::unix::fs::symlink(dir_name, top.join(controller)).into_diagnostic()?;
        }
    }
    Ok(())
}

fn mount_at(fs_type: &str, at: &Path, flags: MsFlags, options: &str) -> Result<()> {
    mount(Some(fs_type), at, Some(fs_type), flags, Some(options))
        .into_diagnostic()
        .wrap_err_with(|| format!("mount -t {fs_type} -o {options} {fs_type} {}", at.display()))
}

/// Last step inside the node, whose root is mounted: init goes to the daemons' group, and on v2
/// the controllers are handed down.
///
/// # Errors
/// The kernel refuses.
pub fn settle_inside(hierarchies: &[Hierarchy]) -> Result<()> {
    let top = Path::new("/sys/fs/cgroup");
    if let [Hierarchy::V2 { .. }] = hierarchies {
        write_own_pid(&top.join(DAEMONS))?;
        return delegate(top);
    }
    for hierarchy in hierarchies {
        let Hierarchy::V1 { options, .. } = hierarchy else { continue };
        let dir_name = options.strip_prefix("name=").unwrap_or(options);
        write_own_pid(&top.join(dir_name).join(DAEMONS))?;
    }
    Ok(())
}

/// Where the group `name` of each hierarchy is on the host, if it exists.
pub fn existing(hierarchies: &[Hierarchy], name: &str) -> Vec<PathBuf> {
    hierarchies.iter().map(|h| h.at().join(name)).filter(|group| group.is_dir()).collect()
}

/// Kills what is left in the group `name` and removes the group from every hierarchy.
///
/// # Errors
/// A group is still busy after 20 s.
pub fn remove(hierarchies: &[Hierarchy], name: &str) -> Result<()> {
    let deadline = Instant::now() + BUSY_LIMIT;
    for group in existing(hierarchies, name) {
        loop {
            kill_all(&group);
            match remove_tree(&group) {
                Ok(()) => break,
                Err(error) if Instant::now() > deadline => {
                    return Err(miette!(
                        help =
                            format!("see which processes {}/cgroup.procs lists", group.display()),
                        "remove the control group {}: {error}",
                        group.display()
                    ));
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    Ok(())
}

/// SIGKILL to every process in a group and below. Processes that are gone already are no matter.
fn kill_all(group: &Path) {
    for child in children(group) {
        kill_all(&child);
    }
    let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in listed.lines().filter_map(|line| line.parse::<u32>().ok()) {
        if pid != 0 && pid != sys::own_pid() {
            let killed =
                sys::pidfd_open(pid).and_then(|fd| sys::pidfd_send_signal(fd, libc::SIGKILL));
            drop(killed);
        }
    }
}

/// Removes a group and those below it, the deepest first.
fn remove_tree(group: &Path) -> io::Result<()> {
    for child in children(group) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn children(group: &Path) -> Vec<PathBuf> {
    fs::read_dir(group)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_gives_its_v1_hierarchies_once_each() {
        let text = "\
30 20 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 30 0:27 / /mnt/again rw - cgroup cgroup rw,cpu,cpuacct
";
        let v1 = |at: &str, options: &str| Hierarchy::V1 { at: at.into(), options: options.into() };
        assert_eq!(
            parse_mountinfo(text),
            [
                v1("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"),
                v1("/sys/fs/cgroup/systemd", "name=systemd"),
            ]
        );
    }

    #[test]
    fn a_pure_v2_host_gives_the_one_hierarchy() {
        let text = "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(parse_mountinfo(text), [Hierarchy::V2 { at: "/sys/fs/cgroup".into() }]);
        assert_eq!(parse_mountinfo("nonsense\n"), []);
    }

    #[test]
    fn trees_go_from_the_leaves_up_and_twice() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("wamr-lab-x");
        fs::create_dir_all(group.join("a/b")).unwrap();
        let hierarchies = [Hierarchy::V2 { at: dir.path().to_owned() }];
        remove(&hierarchies, "wamr-lab-x").unwrap();
        assert!(!group.exists());
        remove(&hierarchies, "wamr-lab-x").unwrap();
    }
}
