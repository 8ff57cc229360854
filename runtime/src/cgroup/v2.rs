//! Cgroup v2: one group, with the controllers it needs switched on in all groups above it.

use super::{MOUNT, Request, devices, files, limits};
use crate::error::{Act, Error, Result};
use crate::sys::bpf;
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
}

/// Controllers that count what a container uses: wanted, but no reason to fail.
const ACCOUNTING: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// Makes the group of `request` with its limits. After an error nothing is left.
///
/// # Errors
/// [`Error::Config`]: a limit of a controller this host does not offer; [`Error::Os`]: a refused
/// write or device program.
pub fn create(request: &Request) -> Result<Group> {
    let writes = request.resources.map(limits::v2).transpose()?.unwrap_or_default();
    let rules = request.resources.and_then(|resources| resources.devices().as_ref());
    let rules = devices::rules(rules.map_or(&[][..], |rules| rules))?;
    let directory = Path::new(MOUNT).join(request.path.strip_prefix("/").unwrap_or(request.path));
    let first_made = files::make(&directory)?;
    let group = Group { directory, first_made };
    if let Err(error) = fill(&group, &writes, &rules) {
        // The first error is the one to tell.
        drop(files::remove(&group.directory, group.first_made.as_deref()));
        return Err(error);
    }
    Ok(group)
}

fn fill(group: &Group, writes: &[limits::Write], rules: &[devices::Rule]) -> Result<()> {
    let directory = &group.directory;
    switch_on(directory, writes)?;
    for write in writes {
        perform(directory, write)?;
    }
    if rules.is_empty() {
        return Ok(());
    }
    let program = bpf::load_device_program(&devices::v2_program(rules))
        .act(|| "load the device filter (bpf): linux.resources.devices".to_owned())?;
    let opened = File::open(directory).act(|| format!("open {}", directory.display()))?;
    bpf::attach_device_program(opened.as_fd(), program.as_fd())
        .act(|| format!("attach the device filter to {}", directory.display()))
}

/// Performs `write` in `directory`.
///
/// # Errors
/// [`Error::Os`] with the file and the value.
pub(super) fn perform(directory: &Path, write: &limits::Write) -> Result<()> {
    let (mut file, mut value) = (write.file.as_str(), write.value.as_str());
    if let Some((other, scaled)) = &write.otherwise
        && !directory.join(file).exists()
    {
        (file, value) = (other, scaled);
    }
    files::write(&directory.join(file), value)
        .act(|| format!("write {value:?} to {}/{file}", directory.display()))
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
