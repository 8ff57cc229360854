//! Cgroup v1: a group in each hierarchy that the container needs one in.
//!
//! A group costs kernel memory in every hierarchy. Where nothing is limited or accounted
//! (`cpuset` without a set, `name=systemd`, ...), the container joins the deepest group that is
//! there already, normally its pod's; the spec leaves that choice to the runtime.
//!
//! The init process enters by writing 0 to `tasks`: for a process that moves its only thread the
//! kernel skips the lock of all thread groups, and with it an RCU grace period per hierarchy.

use super::systemd::Scope;
use super::{MOUNT, Request, apply, devices, files, limits};
use crate::error::{Act, Error, Result};
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// A container's groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// One per mounted hierarchy.
    pub hierarchies: Vec<Hierarchy>,
    /// systemd's scope, if it made the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// The container's place in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// As /proc/self/cgroup names it: `cpu,cpuacct`, `name=systemd`; empty for v2 in hybrid mode.
    pub controllers: String,
    /// The directory whose processes the container joins.
    pub path: PathBuf,
    /// The directory is the container's own.
    pub own: bool,
    /// The topmost directory that was made for it.
    pub first_made: Option<PathBuf>,
    /// The runtime is in this very group already, so there is nothing to join.
    #[serde(skip)]
    pub joined: bool,
}

impl Hierarchy {
    /// The directory's name below [`MOUNT`].
    pub fn directory_name(&self) -> &str {
        directory_name(&self.controllers)
    }
}

impl Group {
    /// The hierarchies with a group of the container's own.
    pub fn own(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.iter().filter(|hierarchy| hierarchy.own)
    }

    /// The group to enter in the v2 hierarchy of a hybrid host.
    pub fn unified(&self) -> Option<&Path> {
        let found = self.hierarchies.iter().find(|place| place.controllers.is_empty());
        found.filter(|place| !place.joined).map(|place| place.path.as_path())
    }

    /// Sets the limits of `resources`; device rules stay as they are.
    ///
    /// Where the container shares a group, which must not be limited for it, it gets one of its
    /// own first and its processes move there.
    ///
    /// # Errors
    /// As [`create`]. A group that was made is in `self` even then.
    pub fn update(&mut self, resources: &LinuxResources) -> Result<()> {
        let writes = limits::v1(resources)?;
        for write in &writes {
            self.separate(&write.controller)?;
        }
        set(self, &writes)
    }

    /// Gives the container a group of its own for `controller`, if it has none.
    fn separate(&mut self, controller: &str) -> Result<()> {
        let shared = |place: &&mut Hierarchy| !place.own && has(&place.controllers, controller);
        let Some(relative) = self.relative_path() else { return Ok(()) };
        let peers = self.own().next().map(|place| place.path.clone()).unwrap_or_default();
        let Some(place) = self.hierarchies.iter_mut().find(shared) else { return Ok(()) };
        let directory = Path::new(MOUNT).join(place.directory_name()).join(relative);
        let first_made = files::make(&directory)?;
        if controller == "cpuset" {
            inherit_cpuset(&directory)?;
        }
        place.path.clone_from(&directory);
        (place.own, place.first_made) = (true, first_made);
        // What forks meanwhile is found in the next round.
        for _ in 0..MOVE_ROUNDS {
            let inside = files::processes(&directory)?;
            let mut outside = files::processes(&peers)?;
            outside.retain(|pid| !inside.contains(pid));
            if outside.is_empty() {
                return Ok(());
            }
            outside.into_iter().try_for_each(|pid| enter(&directory, pid))?;
        }
        let reason = format!(
            "the container forks faster than its processes can be moved to {}",
            directory.display()
        );
        Err(Error::Usage(format!("{reason}: pause it and try again")))
    }

    /// The container's path below the top of each hierarchy.
    fn relative_path(&self) -> Option<PathBuf> {
        let place = self.own().next()?;
        let mount = Path::new(MOUNT).join(place.directory_name());
        place.path.strip_prefix(mount).ok().map(Path::to_owned)
    }

    /// Puts process `pid` where the container's processes are, in every hierarchy.
    ///
    /// # Errors
    /// [`Error::Os`] with the file.
    pub fn join(&self, pid: i32) -> Result<()> {
        self.hierarchies.iter().try_for_each(|place| enter(&place.path, pid))
    }

    /// The directory that holds the container in the hierarchy of `controller`, its own or not.
    pub fn directory(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|place| has(&place.controllers, controller))
    }

    /// Opens what the init process writes 0 to in order to enter, one file per hierarchy; the v2
    /// one of a hybrid host only if `unified`.
    ///
    /// Opened here, because the kernel judges by who opened, and the init may be in a user
    /// namespace of its own.
    ///
    /// # Errors
    /// [`Error::Os`] with the file.
    pub fn entrances(&self, unified: bool) -> Result<Vec<File>> {
        let wanted =
            |place: &&Hierarchy| !place.joined && (unified || !place.controllers.is_empty());
        let places = self.hierarchies.iter().filter(wanted);
        let open = |place: &Hierarchy| {
            let name = if place.controllers.is_empty() { "cgroup.procs" } else { "tasks" };
            let file = place.path.join(name);
            let opened = OpenOptions::new().write(true).open(&file);
            opened.act(|| format!("open {}", file.display()))
        };
        places.map(open).collect()
    }
}

/// How often processes that forked while others were moved are moved too.
const MOVE_ROUNDS: u32 = 100;

/// Moves process `pid` into the group in `directory`; one that is gone is no error.
fn enter(directory: &Path, pid: i32) -> Result<()> {
    let file = directory.join("cgroup.procs");
    match files::write(&file, &pid.to_string()) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.act(|| format!("write {pid} to {}", file.display())),
    }
}

/// The directory of a hierarchy below [`MOUNT`], by its line in /proc/self/cgroup.
fn directory_name(controllers: &str) -> &str {
    match controllers {
        "" => "unified",
        named => named.strip_prefix("name=").unwrap_or(named),
    }
}

/// Makes the groups at `path` with the limits of `request`. After an error nothing is left.
///
/// # Errors
/// [`Error::Config`]: a limit of a controller that is not mounted; [`Error::Os`]: a refused write.
pub fn create(request: &Request, path: &Path) -> Result<Group> {
    let writes = request.resources.map(limits::v1).transpose()?.unwrap_or_default();
    let rules = request.resources.and_then(|resources| resources.devices().as_ref());
    let rules = devices::rules(rules.map_or(&[][..], |rules| rules))?;
    let listing =
        fs::read_to_string("/proc/self/cgroup").act(|| "read /proc/self/cgroup".to_owned())?;
    let mut group = Group { hierarchies: Vec::new(), scope: None };
    let filled = fill(&mut group, (path, request.complete), &listing, &writes, &rules);
    if let Err(error) = filled {
        for hierarchy in group.own() {
            // The first error is the one to tell; what cannot be removed was reported busy.
            drop(files::remove(&hierarchy.path, hierarchy.first_made.as_deref()));
        }
        return Err(error);
    }
    Ok(group)
}

fn fill(
    group: &mut Group,
    (group_path, complete): (&Path, bool),
    listing: &str,
    writes: &[limits::Write],
    rules: &[devices::Rule],
) -> Result<()> {
    for (controllers, current) in listing.lines().filter_map(place) {
        let mount = Path::new(MOUNT).join(directory_name(controllers));
        if !files::is_cgroup(&mount) {
            continue;
        }
        let limited = |name: &str| {
            writes.iter().any(|write| write.controller == name)
                || name == "devices" && !rules.is_empty()
        };
        let own =
            complete || controllers.split(',').any(|name| needs_own_group(name) || limited(name));
        let wanted = mount.join(group_path.strip_prefix("/").unwrap_or(group_path));
        let (path, first_made) = if own {
            let first_made = files::make(&wanted)?;
            (wanted, first_made)
        } else {
            (deepest_existing(&wanted, &mount), None)
        };
        let joined = path == mount.join(current.trim_start_matches('/'));
        let controllers = controllers.to_owned();
        group.hierarchies.push(Hierarchy { controllers, path, own, first_made, joined });
    }
    if let Some(cpuset) = group.own().find(|place| has(&place.controllers, "cpuset")) {
        inherit_cpuset(&cpuset.path)?;
    }
    set(group, writes)?;
    if rules.is_empty() {
        return Ok(());
    }
    let devices = directory_of(group, "devices", "linux.resources.devices")?;
    for (file, line) in devices::v1_lines(rules) {
        files::write(&devices.join(file), &line)
            .act(|| format!("write {line:?} to {}/{file}", devices.display()))?;
    }
    Ok(())
}

/// Controllers whose group counts what the container uses, or with which it is stopped.
fn needs_own_group(controller: &str) -> bool {
    matches!(controller, "memory" | "cpu" | "cpuacct" | "pids" | "blkio" | "freezer")
}

fn has(controllers: &str, name: &str) -> bool {
    controllers.split(',').any(|controller| controller == name)
}

/// `ID:controllers:path` of /proc/self/cgroup.
fn place(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    Some((fields.next()?, fields.next()?))
}

fn deepest_existing(wanted: &Path, mount: &Path) -> PathBuf {
    let exists = wanted.ancestors().find(|path| *path == mount || path.is_dir());
    exists.unwrap_or(mount).to_owned()
}

/// A new cpuset group has no CPU and no memory node: it gets its parent's, from the top down.
fn inherit_cpuset(directory: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        inherit_file(directory, file)?;
    }
    Ok(())
}

fn inherit_file(directory: &Path, file: &str) -> Result<String> {
    let path = directory.join(file);
    let text = fs::read_to_string(&path).act(|| format!("read {}", path.display()))?;
    let (Some(parent), "") = (directory.parent(), text.trim()) else { return Ok(text) };
    let inherited = inherit_file(parent, file)?;
    files::write(&path, inherited.trim())
        .act(|| format!("write {:?} to {}", inherited.trim(), path.display()))?;
    Ok(inherited)
}

fn directory_of<'a>(group: &'a Group, controller: &str, field: &str) -> Result<&'a Path> {
    let found = group.own().find(|place| has(&place.controllers, controller));
    found.map(|place| place.path.as_path()).ok_or_else(|| {
        let reason = format!("the cgroup v1 controller {controller} is not mounted on this host");
        Error::config(field, reason)
    })
}

fn set(group: &Group, writes: &[limits::Write]) -> Result<()> {
    apply::perform_all(writes, |write| {
        directory_of(group, &write.controller, &format!("linux.resources ({})", write.file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_their_line() {
        for (line, want) in [
            ("4:memory:/a/b", Some(("memory", "/a/b"))),
            ("9:name=systemd:/", Some(("name=systemd", "/"))),
            ("0::/x:y", Some(("", "/x:y"))),
            ("nonsense", None),
        ] {
            assert_eq!(place(line), want, "{line}");
        }
        assert_eq!(directory_name("cpu,cpuacct"), "cpu,cpuacct");
        assert_eq!(directory_name("name=systemd"), "systemd");
        assert_eq!(directory_name(""), "unified");
    }

    #[test]
    fn the_deepest_group_is_joined() {
        let mount = tempfile::tempdir().unwrap();
        fs::create_dir_all(mount.path().join("kubepods/pod1")).unwrap();
        let wanted = mount.path().join("kubepods/pod1/container");
        let want = mount.path().join("kubepods/pod1");
        assert_eq!(deepest_existing(&wanted, mount.path()), want);
        let wanted = mount.path().join("elsewhere/x");
        assert_eq!(deepest_existing(&wanted, mount.path()), mount.path());
    }

    #[test]
    fn an_empty_cpuset_is_filled_from_above() {
        let top = tempfile::tempdir().unwrap();
        let leaf = top.path().join("a/b");
        fs::create_dir_all(&leaf).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            fs::write(top.path().join(file), "0-3\n").unwrap();
            fs::write(top.path().join("a").join(file), "\n").unwrap();
            fs::write(leaf.join(file), "\n").unwrap();
        }
        inherit_cpuset(&leaf).unwrap();
        // A plain file keeps its second byte; a cgroup file is replaced by the write.
        assert!(fs::read_to_string(leaf.join("cpuset.cpus")).unwrap().starts_with("0-3"));
        assert!(fs::read_to_string(top.path().join("a/cpuset.mems")).unwrap().starts_with("0-3"));
    }
}
