//! Bind mounts whose files belong to other users inside the container than on their file system.
//!
//! The kernel wants CAP_SYS_ADMIN in the user namespace of the *file system*. An init in a user
//! namespace of its own does not have it, so the runtime makes these mounts, detached, and the
//! init only attaches them.
//!
//! Source: runtime-spec config.md "Mounts" (idmap); mount_setattr(2), section "ID-mapped mounts".

use super::mounts::{Kind, Owners, Step};
use crate::error::{Act, Error, Result};
use crate::id_maps::{self, Maps};
use crate::namespaces::{NEW_USER, Opened};
use crate::sys::mount::{self, MountAttr};
use nix::fcntl::AT_FDCWD;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `MOUNT_ATTR_IDMAP`.
const IDMAP: u64 = 0x0010_0000;

/// Checks that each step that wants the container's maps has some. `maps`: those of config.json;
/// `joined`: the container's user namespace is one that exists. Pure.
///
/// # Errors
/// [`Error::Config`] with the mount.
pub fn check(steps: &[Step], maps: &Maps, joined: bool) -> Result<()> {
    let wants = |step: &&Step| step.owners == Owners::AsContainer;
    match steps.iter().find(wants) {
        Some(step) if maps.uids.is_empty() && !joined => {
            let field = format!("mounts ({})", step.destination.display());
            let reason = "idmap needs uidMappings and gidMappings, or a user namespace";
            Err(Error::config(field, reason))
        }
        _ => Ok(()),
    }
}

/// The id-mapped ones of `steps` as detached mounts, at their places in the list. `maps` and
/// `joins` are the container's.
///
/// # Errors
/// [`Error::Os`] with the mount.
pub fn prepare(steps: &[Step], maps: &Maps, joins: &[Opened]) -> Result<Vec<Option<OwnedFd>>> {
    let mut namespaces = Namespaces { made: Vec::new() };
    let joined = joins.iter().find(|join| join.flag == NEW_USER).map(|join| join.file.as_fd());
    let mut trees = Vec::with_capacity(steps.len());
    for step in steps {
        let namespace = match (&step.owners, joined) {
            (Owners::Same, _) => {
                trees.push(None);
                continue;
            }
            (Owners::AsContainer, Some(joined)) => joined,
            (Owners::AsContainer, None) => namespaces.of(maps)?,
            (Owners::Mapped(own), _) => namespaces.of(own)?,
        };
        trees.push(Some(mapped(step, namespace)?));
    }
    Ok(trees)
}

fn mapped(step: &Step, namespace: BorrowedFd) -> Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let shown = step.destination.display();
    let Kind::Bind { source, recursive } = &step.kind else {
        return Err(Error::config(format!("mounts ({shown})"), "only a bind mount is id-mapped"));
    };
    let tree = mount::clone_tree(AT_FDCWD, source, *recursive)
        .act(|| format!("bind mount {} ({shown})", source.display()))?;
    let attr =
        MountAttr { set: IDMAP, userns_fd: namespace.as_raw_fd() as u64, ..MountAttr::default() };
    let below = step.options.id_map == Some(true);
    mount::set_attributes(tree.as_fd(), &attr, below).act(|| {
        format!(
            "id-map the mount {shown}: the file system of {} must support it, and the runtime \
             needs CAP_SYS_ADMIN on the host",
            source.display()
        )
    })?;
    Ok(tree)
}

/// The user namespaces made for maps: equal maps share one.
struct Namespaces {
    made: Vec<(Maps, OwnedFd)>,
}

impl Namespaces {
    fn of(&mut self, maps: &Maps) -> Result<BorrowedFd<'_>> {
        let found = self.made.iter().position(|(known, _)| known == maps);
        let index = if let Some(index) = found {
            index
        } else {
            self.made.push((maps.clone(), id_maps::namespace(maps)?));
            self.made.len() - 1
        };
        Ok(self.made[index].1.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::mounts;
    use std::path::Path;

    #[test]
    fn the_containers_maps_must_be_there() {
        let json = r#"[{"destination": "/a", "type": "bind", "source": "/a",
            "options": ["idmap"]}]"#;
        let steps =
            mounts::from_spec(&serde_json::from_str::<Vec<_>>(json).unwrap(), Path::new("/"));
        let steps = steps.unwrap();
        let error = check(&steps, &Maps::default(), false).unwrap_err().to_string();
        assert!(error.contains("mounts (/a): idmap needs"), "{error}");
        check(&steps, &Maps::default(), true).unwrap();
        let maps = Maps { uids: "0 1 1\n".into(), gids: "0 1 1\n".into() };
        check(&steps, &maps, false).unwrap();
    }
}
