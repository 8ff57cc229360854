//! `linux.namespaces`: which to make, which to join, and what that asks of the spawn.
//!
//! Source: runtime-spec config-linux.md "Namespaces"; namespaces(7), setns(2), clone(2).

use crate::error::{Act, Error, Result};
use nix::sys::stat::stat;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType as Kind};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A namespace to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Its `CLONE_NEW*` flag.
    pub flag: u64,
    /// A file that refers to it.
    pub path: PathBuf,
}

/// What config.json asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `CLONE_NEW*` of those to make.
    pub new: u64,
    /// Those to join, in an order in which each is still permitted.
    pub join: Vec<Join>,
}

/// A namespace to join, opened.
#[derive(Debug)]
pub struct Opened {
    /// Its `CLONE_NEW*` flag.
    pub flag: u64,
    /// Refers to it.
    pub file: OwnedFd,
}

/// `CLONE_NEWTIME`, which libc types differently from C library to C library.
pub const NEW_TIME: u64 = 0x80;
/// `CLONE_NEWUSER`.
pub const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
/// `CLONE_NEWPID`.
pub const NEW_PID: u64 = libc::CLONE_NEWPID as u64;
/// `CLONE_NEWNS`.
pub const NEW_MOUNT: u64 = libc::CLONE_NEWNS as u64;
/// `CLONE_NEWCGROUP`.
pub const NEW_CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;

/// The kinds as config.json calls them, for `features`.
pub const KINDS: [&str; 8] = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

/// Whether this process is root of the machine, or of a user namespace that passes for one: root of
/// another, such as that of Podman without root, is an ordinary user outside and has a directory
/// of their own.
pub fn is_root_of_machine() -> bool {
    let uid_map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root()
        && (maps_every_user(&uid_map) || std::env::var_os("XDG_RUNTIME_DIR").is_none())
}

/// Whether this is the map of the first user namespace. Source: user_namespaces(7).
fn maps_every_user(uid_map: &str) -> bool {
    uid_map.is_empty() || uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The `CLONE_NEW*` flag of a kind.
fn flag(kind: Kind) -> u64 {
    (match kind {
        Kind::Mount => libc::CLONE_NEWNS,
        Kind::Cgroup => libc::CLONE_NEWCGROUP,
        Kind::Uts => libc::CLONE_NEWUTS,
        Kind::Ipc => libc::CLONE_NEWIPC,
        Kind::User => libc::CLONE_NEWUSER,
        Kind::Pid => libc::CLONE_NEWPID,
        Kind::Network => libc::CLONE_NEWNET,
        Kind::Time => return NEW_TIME,
    }) as u64
}

/// Joined last are the mount namespace, behind which the paths of the others would be gone, and
/// the user namespace, in which the privilege to join the others may be missing.
fn rank(flag: u64) -> u8 {
    match flag {
        NEW_USER => 2,
        NEW_MOUNT => 1,
        _ => 0,
    }
}

impl Namespaces {
    /// Reads the list. Pure.
    ///
    /// # Errors
    /// [`Error::Config`]: a kind twice; a user namespace without a mount namespace.
    pub fn new(list: &[LinuxNamespace]) -> Result<Self> {
        let mut found = Self::default();
        let mut seen = 0;
        for namespace in list {
            let flag = flag(namespace.typ());
            let field = || format!("linux.namespaces ({})", namespace.typ());
            if seen & flag != 0 {
                return Err(Error::config(field(), "listed twice"));
            }
            seen |= flag;
            match namespace.path() {
                Some(path) if !path.as_os_str().is_empty() => {
                    if !path.is_absolute() {
                        return Err(Error::config(field(), "the path must be absolute"));
                    }
                    found.join.push(Join { flag, path: path.clone() });
                }
                _ => found.new |= flag,
            }
        }
        if seen & (NEW_MOUNT | NEW_USER) == NEW_USER {
            let reason = "none is listed: a user namespace alone may not mount anything";
            return Err(Error::config("linux.namespaces (mount)", reason));
        }
        found.join.sort_by_key(|join| rank(join.flag));
        Ok(found)
    }

    /// Whether the kind of `flag` is made or joined: the container does not share the host's.
    pub fn has(&self, flag: u64) -> bool {
        self.new & flag != 0 || self.joins(flag)
    }

    /// Whether the container's mounts are made among those of the host.
    pub fn shares_mounts(&self) -> bool {
        !self.has(NEW_MOUNT)
    }

    /// Whether the kind of `flag` is joined.
    pub fn joins(&self, flag: u64) -> bool {
        self.join.iter().any(|join| join.flag == flag)
    }

    /// Whether the init must be cloned by an intermediate process.
    ///
    /// The new namespaces of a joined user namespace must be made from inside it; those joined
    /// beside a new user namespace must be joined before it exists; a new time namespace only
    /// holds children. The runtime itself must not change its own namespaces for that.
    pub fn needs_stage(&self) -> bool {
        self.joins(NEW_USER)
            || self.new & NEW_USER != 0 && !self.join.is_empty()
            || self.new & NEW_TIME != 0
    }

    /// Opens all that are to be joined.
    ///
    /// # Errors
    /// [`Error::Os`] with the path.
    pub fn open(&self) -> Result<Vec<Opened>> {
        let open = |join: &Join| {
            let file = File::open(&join.path)
                .act(|| format!("open the namespace {}", join.path.display()))?;
            refuse_own(join, &file)?;
            Ok(Opened { flag: join.flag, file: file.into() })
        };
        self.join.iter().map(open).collect()
    }
}

/// The runtime's own mount namespace is the host's: its root must not be put away. Its own user
/// namespace cannot be joined.
fn refuse_own(join: &Join, file: &File) -> Result<()> {
    let name = match join.flag {
        NEW_MOUNT => "mnt",
        NEW_USER => "user",
        _ => return Ok(()),
    };
    let act = || format!("stat the namespace {}", join.path.display());
    let (given, own) =
        (file.metadata().act(act)?, std::fs::metadata(format!("/proc/self/ns/{name}")).act(act)?);
    if (given.dev(), given.ino()) != (own.dev(), own.ino()) {
        return Ok(());
    }
    let field = format!("linux.namespaces ({})", self::name(join.flag));
    let reason = format!("{} is the host's own: leave the path out", join.path.display());
    Err(Error::config(field, reason))
}

/// The `CLONE_NEW*` flags of the namespaces in which the process `pid` is elsewhere than this one.
///
/// # Errors
/// [`Error::Os`]: the process is gone. Passed over, its namespaces would be taken for the host's.
pub fn differing(pid: i32) -> Result<u64> {
    const KINDS: [(&str, u64); 8] = [
        ("user", NEW_USER),
        ("mnt", NEW_MOUNT),
        ("pid", NEW_PID),
        ("cgroup", NEW_CGROUP),
        ("time", NEW_TIME),
        ("uts", libc::CLONE_NEWUTS as u64),
        ("ipc", libc::CLONE_NEWIPC as u64),
        ("net", libc::CLONE_NEWNET as u64),
    ];
    let mut flags = 0;
    for (kind, flag) in KINDS {
        let path = |process: &str| PathBuf::from(format!("/proc/{process}/ns/{kind}"));
        // A kind that the kernel does not know is none.
        let Ok(own) = stat(&path("self")) else { continue };
        let path = path(&pid.to_string());
        let other = stat(&path).act(|| format!("look at {}", path.display()))?;
        if (own.st_dev, own.st_ino) != (other.st_dev, other.st_ino) {
            flags |= flag;
        }
    }
    Ok(flags)
}

/// Joins the namespaces `flags` of the process behind `pidfd`, all or none.
///
/// # Errors
/// [`Error::Os`].
pub fn join_those_of(pidfd: BorrowedFd, flags: u64) -> Result<()> {
    if flags == 0 {
        return Ok(());
    }
    nix::sched::setns(pidfd, nix::sched::CloneFlags::from_bits_retain(flags as i32))
        .act(|| format!("join the namespaces {flags:#x} of the container's process"))
}

/// Joins the namespace behind `opened`.
///
/// # Errors
/// [`Error::Os`] with the kind.
pub fn join(opened: &Opened) -> Result<()> {
    let flags = nix::sched::CloneFlags::from_bits_retain(opened.flag as i32);
    nix::sched::setns(opened.file.as_fd(), flags)
        .act(|| format!("join the {} namespace by its path", name(opened.flag)))
}

/// How messages call the kind of `flag`.
pub fn name(flag: u64) -> &'static str {
    match flag {
        NEW_TIME => "time",
        NEW_USER => "user",
        NEW_PID => "pid",
        NEW_MOUNT => "mount",
        NEW_CGROUP => "cgroup",
        _ if flag == libc::CLONE_NEWUTS as u64 => "uts",
        _ if flag == libc::CLONE_NEWIPC as u64 => "ipc",
        _ => "network",
    }
}

/// Writes the offsets of the time namespace that this process's children will get.
///
/// # Errors
/// [`Error::Os`].
pub fn write_time_offsets(lines: &str) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    std::fs::write(Path::new("/proc/self/timens_offsets"), lines)
        .act(|| format!("write {lines:?} to /proc/self/timens_offsets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Namespaces> {
        let list: Vec<LinuxNamespace> = serde_json::from_str(json).unwrap();
        Namespaces::new(&list)
    }

    #[test]
    fn paths_are_joined_and_the_rest_is_made() {
        let got = read(
            r#"[{"type": "user", "path": "/u"}, {"type": "mount"}, {"type": "pid"},
                {"type": "network", "path": "/n"}, {"type": "ipc", "path": ""}]"#,
        )
        .unwrap();
        assert_eq!(got.new, NEW_MOUNT | NEW_PID | libc::CLONE_NEWIPC as u64);
        let order: Vec<_> = got.join.iter().map(|join| name(join.flag)).collect();
        assert_eq!(order, ["network", "user"]);
        assert!(got.needs_stage() && got.has(NEW_USER) && !got.has(NEW_TIME));
    }

    #[test]
    fn only_the_first_user_namespace_maps_every_user() {
        let table = [
            ("         0          0 4294967295\n", true),
            ("         0       1000          1\n         1     100000      65536\n", false),
            ("         0     100000      65536\n", false),
            ("", true),
        ];
        for (uid_map, want) in table {
            assert_eq!(maps_every_user(uid_map), want, "{uid_map:?}");
        }
    }

    #[test]
    fn an_intermediate_process_only_where_it_must_be() {
        for (json, want) in [
            (r#"[{"type": "mount"}, {"type": "network", "path": "/n"}]"#, false),
            (r#"[{"type": "mount"}, {"type": "user"}]"#, false),
            (r#"[{"type": "mount"}, {"type": "user"}, {"type": "uts", "path": "/x"}]"#, true),
            (r#"[{"type": "mount"}, {"type": "time"}]"#, true),
        ] {
            assert_eq!(read(json).unwrap().needs_stage(), want, "{json}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_namespaces() {
        assert_eq!(differing(std::process::id() as i32).unwrap(), 0);
        assert!(differing(0).is_err());
    }

    #[test]
    fn refusals() {
        for (json, want) in [
            (r#"[{"type": "pid"}, {"type": "mount"}, {"type": "pid"}]"#, "listed twice"),
            (r#"[{"type": "user"}]"#, "may not mount anything"),
            (r#"[{"type": "mount", "path": "x"}]"#, "must be absolute"),
        ] {
            assert!(read(json).unwrap_err().to_string().contains(want), "{json}");
        }
    }
}
