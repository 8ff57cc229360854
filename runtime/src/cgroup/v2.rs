//! Cgroup v2: one group, with the controllers it needs switched on in all groups above it.

use super::systemd::Scope;
use super::{MOUNT, Request, apply, devices, files, limits};
use crate::error::{Act, Error, Result};
use crate::sys::bpf;
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A container's group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its directory.
    pub directory: PathBuf,
    /// The topmost directory that was made for it.
    pub first_made: Option<PathBuf>,
    /// systemd's scope, if it made the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Controllers that count what a container uses: wanted, but no reason to fail.
const ACCOUNTING: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// Makes the group at `path` with the limits of `request`. After an error nothing is left.
///
/// # Errors
/// [`Error::Config`]: a limit of a controller this host does not offer; [`Error::Os`]: a refused
/// write or device program.
pub fn create(request: &Request, path: &Path) -> Result<Group> {
    let writes = request.resources.map(limits::v2).transpose()?.unwrap_or_default();
    let rules = request.resources.and_then(|resources| resources.devices().as_ref());
    let rules = devices::rules(rules.map_or(&[][..], |rules| rules))?;
    let directory = Path::new(MOUNT).join(path.strip_prefix("/").unwrap_or(path));
    let first_made = files::make(&directory)?;
    let group = Group { directory, first_made, scope: None };
    if let Err(error) = fill(&group, &writes, &rules) {
        // The first error is the one to tell.
        drop(files::remove(&group.directory, group.first_made.as_deref()));
        return Err(error);
    }
    Ok(group)
}

fn fill(group: &Group, writes: &[limits::Write], rules: &[devices::Rule]) -> Result<()> {
    let directory = &group.directory;
    set(directory, writes)?;
    if rules.is_empty() {
        return Ok(());
    }
    let loaded = bpf::load_device_program(&devices::v2_program(rules));
    if loaded.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
        && !nix::unistd::geteuid().is_root()
    {
        // Who may not load filters cannot make device nodes either, nor open more than they could.
        return Ok(());
    }
    let program =
        loaded.act(|| "load the device filter (bpf): linux.resources.devices".to_owned())?;
    let opened = File::open(directory).act(|| format!("open {}", directory.display()))?;
    bpf::attach_device_program(opened.as_fd(), program.as_fd())
        .act(|| format!("attach the device filter to {}", directory.display()))
}

fn set(directory: &Path, writes: &[limits::Write]) -> Result<()> {
    switch_on(directory, writes)?;
    apply::perform_all(writes, |_| Ok(directory))
}

impl Group {
    /// Sets the limits of `resources`; device rules stay as they are.
    ///
    /// # Errors
    /// As [`create`].
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        set(&self.directory, &limits::v2(resources)?)
    }

    /// Puts process `pid` into the group.
    ///
    /// If the container has moved its processes into sub-groups, the kernel allows none beside
    /// them: `pid` then joins one of them in its sub-group.
    ///
    /// # Errors
    /// [`Error::Os`] with the file.
    pub fn join(&self, pid: i32) -> Result<()> {
        let enter = |directory: &Path| {
            let file = directory.join("cgroup.procs");
            (files::write(&file, &pid.to_string()), file)
        };
        let (mut entered, mut file) = enter(&self.directory);
        if entered.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
            && let Some(peer) = files::processes(&self.directory)?.first()
            && let Some(place) = place_of(*peer)
        {
            (entered, file) = enter(&place);
        }
        entered.act(|| format!("write {pid} to {}", file.display()))
    }
}

/// The directory of the group that process `pid` is in.
fn place_of(pid: i32) -> Option<PathBuf> {
    let listing = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = listing.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(MOUNT).join(path.trim_start_matches('/')))
}

/// Switches the needed controllers on in every group above `directory`, from the top down.
fn switch_on(directory: &Path, writes: &[limits::Write]) -> Result<()> {
    let available = controllers(directory)?;
    let required = |name: &&str| writes.iter().any(|write| write.controller == *name);
    let optional = |name: &&str| ACCOUNTING.contains(name);
    let offered = controllers(Path::new(MOUNT))?;
    let missing: Vec<&str> = offered
        .split_whitespace()
        .filter(|name| required(name) || optional(name))
        .filter(|name| !available.split_whitespace().any(|have| have == *name))
        .collect();
    for name in writes.iter().map(|write| write.controller.as_str()) {
        if name != "cgroup" && !offered.split_whitespace().any(|have| have == name) {
            let reason = format!("the cgroup v2 controller {name} is not offered by this host");
            return Err(Error::config("linux.resources", reason));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut above: Vec<&Path> =
        directory.ancestors().skip(1).take_while(|path| path.starts_with(MOUNT)).collect();
    above.reverse();
    for group in above {
        for name in &missing {
            let written = files::write(&group.join("cgroup.subtree_control"), &format!("+{name}"));
            match written {
                Err(error) if required(name) => {
                    return Err(error).act(|| {
                        format!(
                            "switch on controller {name} in {}: a group with processes of its own \
                             cannot have controllers for others",
                            group.display()
                        )
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn controllers(directory: &Path) -> Result<String> {
    let file = directory.join("cgroup.controllers");
    fs::read_to_string(&file).act(|| format!("read {}", file.display()))
}
