//! Device nodes and the links every container has in /dev.
//!
//! Source: runtime-spec config-linux.md "Default Devices" and "Default symbolic links".

use super::in_root::Root;
use super::mounts::{self, Kind, Step};
use crate::error::{Act, Error, Result};
use crate::sys::mount;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{self, FchmodatFlags, Mode, SFlag};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// One node to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where, from the container's root.
    pub path: PathBuf,
    /// Character, block or FIFO.
    pub kind: SFlag,
    /// Device number, major and minor.
    pub number: (u64, u64),
    /// Permissions.
    pub mode: u32,
    /// Owner inside the container.
    pub uid: u32,
    /// Group inside the container.
    pub gid: u32,
    /// Named by config.json: what is there already must be the very device.
    pub named: bool,
}

const DEFAULT: [(&str, u64, u64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The nodes of config.json and the default ones it does not name itself. Pure.
///
/// A bundle that bind-mounts /dev as a whole brings its own nodes: then none is made.
///
/// # Errors
/// [`Error::Config`]: a device without a proper type or number.
pub fn from_spec(devices: &[LinuxDevice], steps: &[Step]) -> Result<Vec<Node>> {
    if brings_own_dev(steps) {
        return Ok(Vec::new());
    }
    let mut nodes = Vec::with_capacity(DEFAULT.len() + devices.len());
    for (index, device) in devices.iter().enumerate() {
        nodes.push(node(device).map_err(|reason| {
            let path = device.path().display();
            Error::config(format!("linux.devices[{index}] ({path})"), reason)
        })?);
    }
    for (path, major, minor) in DEFAULT {
        if !nodes.iter().any(|node| node.path == Path::new(path)) {
            let (path, number) = (PathBuf::from(path), (major, minor));
            nodes.push(Node {
                path,
                kind: SFlag::S_IFCHR,
                number,
                mode: 0o666,
                uid: 0,
                gid: 0,
                named: false,
            });
        }
    }
    Ok(nodes)
}

/// Whether /dev is a bind mount of the bundle's own choice.
pub fn brings_own_dev(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| step.destination == Path::new("/dev") && matches!(step.kind, Kind::Bind { .. }))
}

fn node(device: &LinuxDevice) -> std::result::Result<Node, String> {
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => SFlag::S_IFCHR,
        LinuxDeviceType::B => SFlag::S_IFBLK,
        LinuxDeviceType::P => SFlag::S_IFIFO,
        LinuxDeviceType::A => return Err("type a is none of c, b, u, p".to_owned()),
    };
    let number = |value: i64, name: &str| {
        u64::try_from(value).map_err(|_| format!("{name} = {value} is negative"))
    };
    Ok(Node {
        path: mounts::clean(device.path()),
        kind,
        number: (number(device.major(), "major")?, number(device.minor(), "minor")?),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
        named: true,
    })
}

/// Makes `nodes` and the default links. `bind`: take the host's nodes, as a user namespace must.
///
/// # Errors
/// [`Error::Os`] with the node's path.
pub fn apply(root: &Root, nodes: &[Node], bind: bool) -> Result<()> {
    for node in nodes {
        make_node(root, node, bind)?;
    }
    if nodes.is_empty() {
        return Ok(());
    }
    let dev = root.make_directory(Path::new("/dev"), 0o755).act(|| "make /dev".to_owned())?;
    for (target, name) in LINKS {
        link(dev.as_fd(), target, name).act(|| format!("link /dev/{name} to {target}"))?;
    }
    Ok(())
}

fn link(dev: BorrowedFd, target: &str, name: &str) -> nix::Result<()> {
    match symlinkat(target, dev, name) {
        // /dev/ptmx must be the container's own; the other links stay as the image has them.
        Err(Errno::EEXIST) if name == "ptmx" => {
            unlinkat(dev, name, UnlinkatFlags::NoRemoveDir)?;
            symlinkat(target, dev, name)
        }
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

fn make_node(root: &Root, node: &Node, bind: bool) -> Result<()> {
    let shown = node.path.display();
    // A FIFO is no device: any user namespace may make one.
    if bind && node.kind != SFlag::S_IFIFO {
        return bind_host_node(root, node);
    }
    let (parent, name) =
        root.make_parent(&node.path).act(|| format!("make the directory of {shown}"))?;
    let mode = Mode::from_bits_truncate(node.mode);
    let number = stat::makedev(node.number.0, node.number.1);
    match stat::mknodat(&parent, name, node.kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EEXIST) => return check_existing(root, node),
        // Not allowed to make nodes: the host's own node serves as well.
        Err(Errno::EPERM) => return bind_host_node(root, node),
        Err(error) => return Err(error).act(|| format!("make the device {shown}")),
    }
    stat::fchmodat(&parent, name, mode, FchmodatFlags::FollowSymlink)
        .act(|| format!("set the mode of {shown}"))?;
    if (node.uid, node.gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    fchownat(&parent, name, Some(uid), Some(gid), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
        .act(|| format!("set the owner of {shown}"))
}

/// The spec wants an error where something else than the device is in its place. A default device
/// may be the image's own affair.
fn check_existing(root: &Root, node: &Node) -> Result<()> {
    let shown = node.path.display();
    let found = root.refer(&node.path).act(|| format!("open {shown} in the container"))?;
    if !node.named || is_node(found.as_fd(), node).act(|| format!("stat {shown}"))? {
        return Ok(());
    }
    let reason = "something else is there already, in the image or in a mount";
    Err(Error::config(format!("linux.devices ({shown})"), reason))
}

/// Whether `found` is of the kind and number of `node`.
fn is_node(found: BorrowedFd, node: &Node) -> nix::Result<bool> {
    let stat = stat::fstat(found)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let number = stat::makedev(node.number.0, node.number.1);
    Ok(kind == node.kind && (kind == SFlag::S_IFIFO || stat.st_rdev == number))
}

fn bind_host_node(root: &Root, node: &Node) -> Result<()> {
    let shown = node.path.display();
    let tree = mount::clone_tree(AT_FDCWD, &node.path, false)
        .act(|| format!("bind the host's device {shown}, as this process may not make one"))?;
    if !is_node(tree.as_fd(), node).act(|| format!("stat the host's {shown}"))? {
        let (major, minor) = node.number;
        let reason = format!(
            "a user namespace gets the host's device of this path, which is not {major}:{minor}"
        );
        return Err(Error::config(format!("linux.devices ({shown})"), reason));
    }
    let target = root.make_file(&node.path).act(|| format!("make the mount point {shown}"))?;
    mount::move_mount(tree.as_fd(), target.as_fd()).act(|| format!("bind the device {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(json: &str) -> Vec<LinuxDevice> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn defaults_give_way_to_the_bundle() {
        let json = r#"[{"path": "/dev/null", "type": "c", "major": 9, "minor": 9, "uid": 5},
                       {"path": "/dev/../dev/kvm", "type": "u", "major": 10, "minor": 232}]"#;
        let nodes = from_spec(&devices(json), &[]).unwrap();
        assert_eq!(nodes.len(), 7);
        assert_eq!((nodes[0].number, nodes[0].uid), ((9, 9), 5));
        assert_eq!(nodes[1].path, Path::new("/dev/kvm"));
    }

    #[test]
    fn nonsense_is_refused() {
        let json = r#"[{"path": "/dev/x", "type": "c", "major": -1, "minor": 0}]"#;
        let error = from_spec(&devices(json), &[]).unwrap_err().to_string();
        assert!(error.contains("linux.devices[0] (/dev/x): major = -1"), "{error}");
    }
}
