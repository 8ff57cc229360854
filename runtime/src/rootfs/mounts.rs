//! config.json's `mounts` as steps. Pure: `apply.rs` performs them.

use super::options::{self, Options};
use crate::error::{Error, Result};
use crate::id_maps::{self, Maps};
use oci_spec::runtime::Mount;
use std::path::{Component, Path, PathBuf};

/// One mount, ready to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where, from the container's root, without `.` and `..`.
    pub destination: PathBuf,
    /// What.
    pub kind: Kind,
    /// How.
    pub options: Options,
    /// With which owners; a bind mount only.
    pub owners: Owners,
}

/// Whom the files of a mount belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owners {
    /// As on its file system.
    #[default]
    Same,
    /// By maps of the mount's own.
    Mapped(Maps),
    /// By the maps of the container's user namespace.
    AsContainer,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A part of the host's tree.
    Bind {
        /// The host's file or directory.
        source: PathBuf,
        /// With the mounts below it.
        recursive: bool,
    },
    /// A new file system.
    New {
        /// Its type, as in /proc/filesystems.
        fstype: String,
        /// The name or device it shows in mountinfo.
        source: String,
    },
    /// The container's own control groups.
    Cgroup,
}

impl Step {
    /// Whether it shows the kernel: /proc, /sys, message queues, control groups. No Wasm guest sees
    /// these.
    pub fn shows_kernel(&self) -> bool {
        match &self.kind {
            Kind::Cgroup => true,
            Kind::New { fstype, .. } => matches!(fstype.as_str(), "proc" | "sysfs" | "mqueue"),
            Kind::Bind { .. } => false,
        }
    }
}

/// Whether the mounts that show the kernel can be left out: there are some, and none of the others
/// needs its mount point from them.
pub fn can_leave_out_kernel(steps: &[Step]) -> bool {
    let (kernel, others): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.shows_kernel());
    let below =
        |other: &&Step| kernel.iter().any(|step| other.destination.starts_with(&step.destination));
    !kernel.is_empty() && !others.iter().any(below)
}

/// An absolute path without `.`, `..` and doubled slashes; `..` at the top stays at the top.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// Plans all `mounts`; relative bind sources start at `bundle`.
///
/// # Errors
/// [`Error::Config`]: an option, a type or a mapping that cannot be honoured.
pub fn from_spec(mounts: &[Mount], bundle: &Path) -> Result<Vec<Step>> {
    mounts
        .iter()
        .enumerate()
        .map(|(index, mount)| {
            step(mount, bundle).map_err(|reason| {
                let destination = mount.destination().display();
                Error::config(format!("mounts[{index}] ({destination})"), reason)
            })
        })
        .collect()
}

/// The options of `step` that are without effect, a sentence each.
pub fn passed_over(step: &Step) -> impl Iterator<Item = String> {
    let destination = step.destination.display();
    step.options.passed_over.iter().map(move |option| {
        format!(
            "mounts ({destination}): option {option:?} is passed over: a bind mount has the file \
             system of its source"
        )
    })
}

fn step(mount: &Mount, bundle: &Path) -> std::result::Result<Step, String> {
    let maps = id_maps::of_mount(mount.uid_mappings().as_deref(), mount.gid_mappings().as_deref())?;
    let mut options = options::parse(mount.options().as_deref().unwrap_or_default())?;
    let fstype = mount.typ().as_deref().unwrap_or_default();
    if fstype == "bind" && options.bind.is_none() {
        options.bind = Some(false);
    }
    let kind = match options.bind {
        Some(recursive) => {
            let source = mount.source().as_ref().ok_or("a bind mount needs a source")?;
            // join keeps an absolute source as it is.
            Kind::Bind { source: bundle.join(source), recursive }
        }
        None if matches!(fstype, "cgroup" | "cgroup2") => {
            if let Some(unknown) = options.data.first() {
                return Err(format!("option {unknown:?} has no meaning for a cgroup mount"));
            }
            Kind::Cgroup
        }
        None if fstype.is_empty() || fstype == "none" => {
            return Err("needs a type, or the option bind or rbind".to_owned());
        }
        None => Kind::New {
            fstype: fstype.to_owned(),
            source: source_text(mount.source().as_deref(), fstype)?,
        },
    };
    if options.copy_up && !matches!(&kind, Kind::New { fstype, .. } if fstype == "tmpfs") {
        return Err("tmpcopyup needs a mount of type tmpfs".to_owned());
    }
    let owners = match (maps, options.id_map) {
        (Some(maps), _) => Owners::Mapped(maps),
        (None, Some(_)) => Owners::AsContainer,
        (None, None) => Owners::Same,
    };
    if owners != Owners::Same && !matches!(kind, Kind::Bind { .. }) {
        return Err("only a bind mount can be id-mapped".to_owned());
    }
    Ok(Step { destination: clean(mount.destination()), kind, options, owners })
}

fn source_text(source: Option<&Path>, fstype: &str) -> std::result::Result<String, String> {
    match source {
        None => Ok(fstype.to_owned()),
        Some(path) => Ok(path.to_str().ok_or("the source is no UTF-8")?.to_owned()),
    }
}

/// The destinations at which a Wasm guest gets a directory besides `/`: all of config.json but
/// the kernel's own trees, which are none of a guest's business.
pub fn guest_directories(destinations: &[PathBuf]) -> Vec<PathBuf> {
    const HIDDEN: [&str; 3] = ["/proc", "/sys", "/dev"];
    let hidden = |path: &PathBuf| HIDDEN.iter().any(|hidden| path.starts_with(hidden));
    let paths = destinations.iter().map(|destination| clean(destination));
    paths.filter(|path| path != Path::new("/") && !hidden(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(json: &str) -> Vec<Mount> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn paths_are_cleaned_without_leaving_the_root() {
        for (path, want) in [
            ("/proc", "/proc"),
            ("/../../etc//x/./y", "/etc/x/y"),
            ("relative/x", "/relative/x"),
            ("/a/../..", "/"),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(want), "{path}");
        }
    }

    #[test]
    fn each_kind_is_recognised() {
        let json = r#"[
          {"destination": "/proc", "type": "proc", "source": "proc"},
          {"destination": "/d", "type": "bind", "source": "data", "options": ["rbind", "ro"]},
          {"destination": "/n", "type": "none", "source": "/x", "options": ["bind"]},
          {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro", "nosuid"]}]"#;
        let steps = from_spec(&mounts(json), Path::new("/bundle")).unwrap();
        let kinds: Vec<_> = steps.iter().map(|step| &step.kind).collect();
        let source = PathBuf::from("/bundle/data");
        assert_eq!(kinds[0], &Kind::New { fstype: "proc".into(), source: "proc".into() });
        assert_eq!(kinds[1], &Kind::Bind { source, recursive: true });
        assert_eq!(kinds[2], &Kind::Bind { source: "/x".into(), recursive: false });
        assert_eq!(kinds[3], &Kind::Cgroup);
    }

    #[test]
    fn kernel_trees_are_left_out_unless_something_lies_in_them() {
        let proc = r#"{"destination": "/proc", "type": "proc"}"#;
        let shm = r#"{"destination": "/dev/shm", "type": "tmpfs"}"#;
        let below = r#"{"destination": "/proc/cpuinfo", "type": "bind", "source": "/c"}"#;
        let queues = r#"{"destination": "/dev/mqueue", "type": "mqueue"}"#;
        for (json, want) in [
            (vec![], false),
            (vec![shm], false),
            (vec![proc, shm, queues], true),
            (vec![proc, below], false),
            (vec![below, queues], true),
        ] {
            let steps = from_spec(&mounts(&format!("[{}]", json.join(","))), Path::new("/"));
            assert_eq!(can_leave_out_kernel(&steps.unwrap()), want, "{json:?}");
        }
    }

    #[test]
    fn refusals_name_the_mount() {
        for (json, want) in [
            (r#"[{"destination": "/x"}]"#, "mounts[0] (/x): needs a type"),
            (r#"[{"destination": "/x", "type": "bind"}]"#, "needs a source"),
            (r#"[{"destination": "/x", "type": "proc", "options": ["tmpcopyup"]}]"#, "tmpfs"),
            (r#"[{"destination": "/x", "type": "cgroup", "options": ["all"]}]"#, "cgroup mount"),
            (r#"[{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]"#, "only a bind"),
        ] {
            let error = from_spec(&mounts(json), Path::new("/")).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn owners_by_maps_or_by_the_container() {
        let json = r#"[
          {"destination": "/a", "type": "bind", "source": "/a"},
          {"destination": "/b", "type": "bind", "source": "/b", "options": ["ridmap"]},
          {"destination": "/c", "type": "bind", "source": "/c",
            "uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": 6, "size": 1}]}]"#;
        let steps = from_spec(&mounts(json), Path::new("/")).unwrap();
        let maps = Maps { uids: "0 5 1\n".into(), gids: "0 6 1\n".into() };
        let owners: Vec<_> = steps.into_iter().map(|step| step.owners).collect();
        assert_eq!(owners, [Owners::Same, Owners::AsContainer, Owners::Mapped(maps)]);
    }

    #[test]
    fn guests_do_not_see_kernel_trees() {
        let paths = ["/proc", "/dev/shm", "/data", "/device", "/../"].map(PathBuf::from);
        assert_eq!(guest_directories(&paths), [Path::new("/data"), Path::new("/device")]);
    }
}
