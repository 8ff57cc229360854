//! The container's own control groups at a `cgroup` mount of config.json.
//!
//! Version 2: the group's directory is the mount. Version 1: a tmpfs with one directory per
//! hierarchy, as the host has it, and links for the single controllers. Without groups of its own
//! the container sees the host's, read-only.

use super::in_root::Root;
use super::mounts::Step;
use crate::cgroup::{Cgroup, MOUNT, v1};
use crate::error::{Act, Result};
use crate::sys::mount::{self, MountAttr};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Mounts the view of `cgroup` for `step`.
///
/// # Errors
/// [`crate::error::Error::Os`] with the hierarchy.
pub fn apply(root: &Root, step: &Step, cgroup: &Cgroup) -> Result<()> {
    let shown = step.destination.display();
    let target = root
        .make_directory(&step.destination, 0o755)
        .act(|| format!("make the mount point {shown}"))?;
    let attr = MountAttr { set: step.options.attr.set, ..MountAttr::default() };
    match cgroup {
        Cgroup::V2(group) => attach_group(&group.directory, target.as_fd(), &attr),
        Cgroup::V1(group) if group.hierarchies.is_empty() => {
            let tree = mount::clone_tree(nix::fcntl::AT_FDCWD, Path::new(MOUNT), true)
                .act(|| format!("bind mount {MOUNT} at {shown}"))?;
            let attr = MountAttr { set: attr.set | 1, ..attr };
            mount::set_attributes(tree.as_fd(), &attr, true)
                .act(|| format!("set the attributes of {shown}"))?;
            mount::move_mount(tree.as_fd(), target.as_fd())
                .act(|| format!("attach the mount {shown}"))
        }
        Cgroup::V1(group) => {
            let options = ["mode=755".to_owned()];
            let fs = super::apply::file_system("tmpfs", "cgroup", &options)
                .act(|| format!("mount a tmpfs at {shown}"))?;
            // Written to below, so read-only comes last.
            let tree = mount::fs_mount(fs.as_fd(), attr.set & !1)
                .act(|| format!("mount a tmpfs at {shown}"))?;
            mount::move_mount(tree.as_fd(), target.as_fd())
                .act(|| format!("attach the mount {shown}"))?;
            for hierarchy in &group.hierarchies {
                hierarchy_view(tree.as_fd(), hierarchy, &attr)?;
            }
            if attr.set & 1 == 0 {
                return Ok(());
            }
            mount::set_attributes(tree.as_fd(), &attr, false)
                .act(|| format!("make {shown} read-only"))
        }
    }
}

fn hierarchy_view(tree: BorrowedFd, hierarchy: &v1::Hierarchy, attr: &MountAttr) -> Result<()> {
    let name = hierarchy.directory_name();
    let act = || format!("make the directory of cgroup hierarchy {name}");
    mkdirat(tree, name, Mode::from_bits_truncate(0o755)).act(act)?;
    let path = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
    let target = nix::fcntl::openat(tree, name, path, Mode::empty()).act(act)?;
    attach_group(&hierarchy.path, target.as_fd(), attr)?;
    for controller in name.split(',').filter(|controller| *controller != name) {
        symlinkat(name, tree, controller).act(|| format!("link cgroup controller {controller}"))?;
    }
    Ok(())
}

fn attach_group(directory: &Path, target: BorrowedFd, attr: &MountAttr) -> Result<()> {
    let act = || format!("bind mount the cgroup {}", directory.display());
    let tree: OwnedFd = mount::clone_tree(nix::fcntl::AT_FDCWD, directory, false).act(act)?;
    if *attr != MountAttr::default() {
        mount::set_attributes(tree.as_fd(), attr, false).act(act)?;
    }
    mount::move_mount(tree.as_fd(), target).act(act)
}
