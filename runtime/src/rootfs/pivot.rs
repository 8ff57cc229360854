//! Makes the bundle's root the root of this mount namespace, in three acts around the mounts:
//! [`prepare`], [`enter`] and [`finish`].

use super::in_root::Root;
use crate::error::{Act, Error, Result};
use crate::sys::mount::{self, MountAttr};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, fchdir, pivot_root};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// How the bundle's root becomes the container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// pivot_root, in a mount namespace of the container's.
    Pivot,
    /// The mount is moved over `/`, then chroot: for hosts whose own root is an initramfs, which
    /// cannot be pivoted away from; weaker.
    Move,
    /// chroot alone, among the mounts of the host: the container has no mount namespace.
    Chroot,
}

/// `linux.rootfsPropagation` as `MS_*` and whether recursive. Pure.
///
/// # Errors
/// [`Error::Config`]: an unknown word.
pub fn parse_propagation(word: Option<&str>) -> Result<Option<(MsFlags, bool)>> {
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(None) };
    let (kind, recursive) = match word {
        "shared" | "rshared" => (MsFlags::MS_SHARED, word == "rshared"),
        "slave" | "rslave" => (MsFlags::MS_SLAVE, word == "rslave"),
        "private" | "rprivate" => (MsFlags::MS_PRIVATE, word == "rprivate"),
        "unbindable" | "runbindable" => (MsFlags::MS_UNBINDABLE, word == "runbindable"),
        _ => {
            let reason = format!("{word:?} is none of [r]shared, [r]slave, [r]private, ...");
            return Err(Error::config("linux.rootfsPropagation", reason));
        }
    };
    Ok(Some((kind, recursive)))
}

/// Cuts this namespace's mounts off from the host's and makes `rootfs` a mount of its own.
///
/// Without a word in config.json the mounts become slaves: what the host mounts later still
/// appears in volumes, nothing goes back. With `shared` they stay peers, and only the mount that
/// holds the root becomes private, or the container's mounts would appear on the host.
///
/// # Errors
/// [`Error::Os`] with the call.
pub fn prepare(rootfs: &Path, propagation: Option<(MsFlags, bool)>) -> Result<Root> {
    let (mut kind, _) = propagation.unwrap_or((MsFlags::MS_SLAVE, true));
    // Nothing could be bound out of an unbindable tree; it becomes so at the end.
    if kind == MsFlags::MS_UNBINDABLE {
        kind = MsFlags::MS_PRIVATE;
    }
    let none = None::<&str>;
    nix::mount::mount(none, "/", none, kind | MsFlags::MS_REC, none)
        .act(|| format!("set the propagation of all mounts to {kind:?}"))?;
    if kind == MsFlags::MS_SHARED {
        make_parent_mount_private(rootfs)?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    nix::mount::mount(Some(rootfs), rootfs, none, flags, none)
        .act(|| format!("bind mount the root {}", rootfs.display()))?;
    let directory = File::open(rootfs).act(|| format!("open the root {}", rootfs.display()))?;
    Ok(Root::new(directory.into()))
}

/// As [`prepare`], for a container without a mount namespace.
///
/// The root, and with it all that will be mounted in it, hangs at `place`, a directory of the
/// runtime's own: no mount of the host is touched, and one [`take_down`] removes everything. It is
/// private, so that nothing that is mounted in it appears elsewhere.
///
/// # Errors
/// [`Error::Os`] with the call.
pub fn prepare_among_hosts(rootfs: &Path, place: &Path) -> Result<Root> {
    let act = || format!("mount the root {} at {}", rootfs.display(), place.display());
    let private = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
    let tree = mount::clone_tree(AT_FDCWD, rootfs, true).act(act)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let target = open(place, flags, Mode::empty()).act(act)?;
    mount::move_mount(tree.as_fd(), target.as_fd()).act(act)?;
    // Below a shared mount it has become shared itself.
    mount::set_attributes(tree.as_fd(), &private, true).act(act)?;
    Ok(Root::new(tree))
}

/// Takes away what [`prepare_among_hosts`] has mounted at `place`, all below it included, and the
/// directory. Fine if there is nothing.
///
/// # Errors
/// [`Error::Os`]: then something may still be mounted there, and nothing below it may be removed.
pub fn take_down(place: &Path) -> Result<()> {
    match umount2(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Not there; no mount; a user of a user namespace, who can have none here.
        Ok(()) | Err(Errno::ENOENT | Errno::EINVAL | Errno::EPERM) => {}
        Err(error) => return Err(error).act(|| format!("unmount {}", place.display())),
    }
    // Not what is in it: a mount that stayed makes this fail.
    match std::fs::remove_dir(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).act(|| format!("remove {}", place.display()))
        }
        _ => Ok(()),
    }
}

/// The mount that holds `path` becomes private: the first ancestor that is a mount point.
fn make_parent_mount_private(path: &Path) -> Result<()> {
    let none = None::<&str>;
    for ancestor in path.ancestors() {
        match nix::mount::mount(none, ancestor, none, MsFlags::MS_PRIVATE, none) {
            Err(Errno::EINVAL) => {}
            other => return other.act(|| format!("make {} private", ancestor.display())),
        }
    }
    Ok(())
}

/// Gives the root mount the propagation that config.json asks for and, if so, makes it read-only.
/// After all mounts, which need it writable and bindable, and after [`enter`]: pivot_root refuses
/// a shared mount.
///
/// # Errors
/// [`Error::Os`] with the call.
pub fn finish(root: &Root, propagation: Option<(MsFlags, bool)>, read_only: bool) -> Result<()> {
    let attr = MountAttr {
        set: u64::from(read_only),
        propagation: match propagation {
            Some((MsFlags::MS_SHARED, _)) => libc::MS_SHARED,
            Some((MsFlags::MS_UNBINDABLE, _)) => libc::MS_UNBINDABLE,
            _ => 0,
        },
        ..MountAttr::default()
    };
    if attr == MountAttr::default() {
        return Ok(());
    }
    mount::set_attributes(root.as_fd(), &attr, false)
        .act(|| "make the root read-only or set its propagation".to_owned())
}

/// Makes `root` this process's `/`, by `way`; a pivot also detaches the host's tree.
///
/// # Errors
/// [`Error::Os`] with the call.
///
/// Source: pivot_root(2), section `pivot_root(".", ".")`.
pub fn enter(root: &Root, way: Way) -> Result<()> {
    let old = File::open("/").act(|| "open the old root".to_owned())?;
    fchdir(root.as_fd()).act(|| "fchdir(root)".to_owned())?;
    if way == Way::Pivot {
        pivot_root(".", ".").act(|| {
            r#"pivot_root(".", "."): use --no-pivot if the host runs from an initramfs"#.to_owned()
        })?;
        // The old root lies over the new one now. As a slave, its unmounting stays here. `.` must
        // be the old root for that: the new one may hold shared mounts.
        fchdir(&old).act(|| "fchdir(old root)".to_owned())?;
        let none = None::<&str>;
        nix::mount::mount(none, ".", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
            .act(|| "make the old root a slave".to_owned())?;
        umount2(".", MntFlags::MNT_DETACH).act(|| "detach the old root".to_owned())?;
    } else {
        if way == Way::Move {
            nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
                .act(|| "move the root mount to /".to_owned())?;
        }
        chroot(".").act(|| "chroot".to_owned())?;
    }
    chdir("/").act(|| "chdir(/)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propagation_words() {
        for (word, want) in [
            (None, None),
            (Some(""), None),
            (Some("rslave"), Some((MsFlags::MS_SLAVE, true))),
            (Some("shared"), Some((MsFlags::MS_SHARED, false))),
        ] {
            assert_eq!(parse_propagation(word).unwrap(), want, "{word:?}");
        }
        assert!(parse_propagation(Some("open")).is_err());
    }
}
